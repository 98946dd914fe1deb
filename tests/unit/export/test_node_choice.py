"""The search leaves out the nodes that do the most damage for the time that they take, until the rest holds."""

from collections.abc import Callable

import pytest

from onnxserve_export.node_choice import BROKEN, by_damage_for_time, chance_within, choices, choose_nodes
from onnxserve_export.records import Sensitivity

NODES = ["a", "b", "c", "d"]
MS = dict.fromkeys(NODES, 1.0)
HOLDS, NARROW, MISSES = 0.7, 0.55, 0.4


def chosen(
    chance_of: Callable[[list[str]], float], left_out: int = 1, ms: dict[str, float] = MS
) -> tuple[list[str], list[int], int]:
    """The nodes, the sizes of the choices that were made, and that of the last one that was kept."""
    tries, kept = list[int](), [0]

    def attempt(nodes: list[str]) -> float:
        tries.append(len(nodes))
        return chance_of(nodes)

    nodes = choose_nodes(NODES, left_out, attempt, lambda: kept.append(tries[-1]), ms)
    return nodes, tries, kept[-1]


@pytest.mark.parametrize(("allowed", "sizes"), [(4, [3]), (3, [3]), (2, [3, 2]), (1, [3, 2, 1]), (0, [3, 2, 1])])
def test_ever_more_of_the_worst_nodes_are_left_out_until_the_rest_holds(allowed, sizes):
    nodes, tries, kept = chosen(lambda nodes: HOLDS if len(nodes) <= allowed else MISSES)
    assert tries == sizes
    assert nodes == (NODES[: sizes[-1]] if sizes[-1] <= allowed else [])
    assert kept == len(nodes)


def test_where_some_nodes_were_not_measured_all_that_were_are_tried_first():
    assert chosen(lambda _: HOLDS, left_out=0) == (NODES, [4], 4)


def test_fifty_nodes_take_ten_tries_and_the_first_few_differ_by_one_node():
    ranking = [f"node{number}" for number in range(50)]
    left_out = [50 - len(nodes) for nodes in choices(ranking, 1)]
    assert left_out == [1, 2, 3, 4, 6, 9, 13, 19, 28, 42]


def test_without_a_choice_that_holds_chance_is_weighed_against_the_time_of_its_nodes():
    assert chosen(lambda nodes: {3: 0.5, 2: 0.6, 1: 0.6}[len(nodes)]) == (NODES[:3], [3, 2, 1], 3)
    light = {**MS, "c": 0.1}
    assert chosen(lambda nodes: {3: 0.5, 2: 0.6, 1: 0.6}[len(nodes)], ms=light) == (NODES[:2], [3, 2, 1], 2)


def test_a_choice_that_holds_but_has_hardly_any_time_in_8_bits_gives_way_to_one_that_may_hold():
    assert chosen(lambda nodes: HOLDS if len(nodes) < 2 else NARROW) == (NODES[:3], [3, 2, 1], 3)
    assert chosen(lambda nodes: HOLDS if len(nodes) < 3 else MISSES) == (NODES[:2], [3, 2], 2)


def test_a_chance_is_that_at_which_the_bound_reaches_the_budget():
    assert chance_within(lambda chance: chance / 50, 0.01) == 0.5
    assert chance_within(lambda chance: chance / 50, 0.0125) == pytest.approx(0.625, abs=1 / 64)
    assert chance_within(lambda _: 0.02, 0.01) == 0
    assert chance_within(lambda _: 0.0, 0.01) == pytest.approx(1, abs=1 / 63)


def test_the_square_of_damage_is_weighed_against_time_and_broken_nodes_stay_in_float():
    sensitivity = Sensitivity("graph", {"a": 0.1, "b": 0.2, "c": 0.05, "d": BROKEN})
    assert by_damage_for_time(sensitivity, {"a": 1.0, "b": 8.0, "c": 0.1, "d": 9.0}) == ["b", "a", "c"]
    assert by_damage_for_time(sensitivity, {"a": 1.0, "b": 3.0, "c": 1.0}) == ["c", "a", "b"]
    assert by_damage_for_time(sensitivity, {}) == ["c", "a", "b"], "nodes that took no time that could be measured"
