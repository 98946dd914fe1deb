"""The search leaves out the nodes that do the most damage for the time that they take, until the rest holds."""

import pytest

from onnxserve_export.records import Sensitivity
from onnxserve_export.search import BROKEN, by_damage_for_time, without_worst

NODES = ["a", "b", "c", "d"]


@pytest.mark.parametrize(("allowed", "sizes"), [(4, [3]), (3, [3]), (2, [3, 2]), (1, [3, 2]), (0, [3, 2])])
def test_ever_more_of_the_worst_nodes_are_left_out_until_the_rest_holds(allowed, sizes):
    tries: list[int] = []

    def holds(nodes: list[str]) -> bool:
        tries.append(len(nodes))
        return bool(len(nodes) <= allowed)

    assert without_worst(NODES, holds, left_out=1) == (NODES[: sizes[-1]] if sizes[-1] <= allowed else [])
    assert tries == sizes


def test_where_some_nodes_were_not_measured_all_that_were_are_tried_first():
    assert without_worst(NODES, lambda _: True, left_out=0) == NODES


def test_damage_is_weighed_against_time_and_broken_nodes_stay_in_float():
    sensitivity = Sensitivity("graph", {"a": 0.1, "b": 0.2, "c": 0.05, "d": BROKEN})
    assert by_damage_for_time(sensitivity, {"a": 1.0, "b": 8.0, "c": 0.1, "d": 9.0}) == ["b", "a", "c"]
    assert by_damage_for_time(sensitivity, {}) == ["c", "a", "b"], "nodes that took no time that could be measured"
