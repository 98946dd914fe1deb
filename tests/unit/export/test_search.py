"""The search takes the longest run of the least harmful nodes."""

import pytest

from onnxserve_export.search import longest_prefix

NODES = ["a", "b", "c", "d"]


@pytest.mark.parametrize("allowed", range(5))
def test_the_longest_run_of_cheapest_nodes_that_holds_is_found_in_few_tries(allowed):
    tries: list[int] = []

    def holds(nodes: list[str]) -> bool:
        tries.append(len(nodes))
        return bool(len(nodes) <= allowed)

    assert longest_prefix(NODES, holds) == NODES[:allowed]
    assert len(tries) <= 3
