"""The search takes the longest run of nodes that do the least damage for the time that they take."""

import pytest

from onnxserve_export.records import Sensitivity
from onnxserve_export.search import BROKEN, by_damage_for_time, longest_prefix

NODES = ["a", "b", "c", "d"]


@pytest.mark.parametrize("allowed", range(5))
def test_the_longest_run_of_cheapest_nodes_that_holds_is_found_in_few_tries(allowed):
    tries: list[int] = []

    def holds(nodes: list[str]) -> bool:
        tries.append(len(nodes))
        return bool(len(nodes) <= allowed)

    assert longest_prefix(NODES, holds) == NODES[:allowed]
    assert len(tries) <= 3


def test_damage_is_weighed_against_time_and_broken_nodes_stay_in_float():
    sensitivity = Sensitivity("graph", {"a": 0.1, "b": 0.2, "c": 0.05, "d": BROKEN})
    assert by_damage_for_time(sensitivity, {"a": 1.0, "b": 8.0, "c": 0.1, "d": 9.0}) == ["b", "a", "c"]
    assert by_damage_for_time(sensitivity, {}) == ["c", "a", "b"], "nodes that took no time that could be measured"
