"""The search leaves out the nodes that do the most damage for the time that they take, until the rest holds."""

from collections.abc import Callable

import pytest

from onnxserve_export.node_choice import BROKEN, MISSES, Foreseen, by_damage_for_time, choices, choose_nodes
from onnxserve_export.records import Sensitivity

NODES = ["a", "b", "c", "d"]
BUDGET = 0.01
HOLDS, NARROW = Foreseen(0.004, 0.008), Foreseen(0.009, 0.012)  # narrow: as likely as not, but not two times of three


def chosen(
    foreseen: Callable[[list[str]], Foreseen], ranking: list[str] = NODES, left_out: int = 1
) -> tuple[list[str], list[int], int]:
    """The nodes, the sizes of the choices that were made, and that of the last one that was kept."""
    tries, kept = list[int](), [0]

    def attempt(nodes: list[str]) -> Foreseen:
        tries.append(len(nodes))
        return foreseen(nodes)

    nodes = choose_nodes(ranking, left_out, attempt, lambda: kept.append(tries[-1]), BUDGET)
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


def test_without_a_choice_that_holds_the_best_that_is_as_likely_as_not_is_taken():
    bounds = {3: Foreseen(0.0095, 0.013), 2: NARROW, 1: Foreseen(0.0098, 0.014)}
    assert chosen(lambda nodes: bounds[len(nodes)]) == (NODES[:2], [3, 2, 1], 2)


def test_a_choice_that_holds_is_taken_before_one_with_more_nodes_that_only_might():
    assert chosen(lambda nodes: NARROW if len(nodes) > 1 else HOLDS) == (NODES[:1], [3, 2, 1], 1)


def test_the_square_of_damage_is_weighed_against_time_and_broken_nodes_stay_in_float():
    sensitivity = Sensitivity("graph", {"a": 0.1, "b": 0.2, "c": 0.05, "d": BROKEN})
    assert by_damage_for_time(sensitivity, {"a": 1.0, "b": 8.0, "c": 0.1, "d": 9.0}) == ["b", "a", "c"]
    assert by_damage_for_time(sensitivity, {"a": 1.0, "b": 3.0, "c": 1.0}) == ["c", "a", "b"]
    assert by_damage_for_time(sensitivity, {}) == ["c", "a", "b"], "nodes that took no time that could be measured"
