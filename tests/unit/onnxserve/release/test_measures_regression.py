"""Versions of a regression are compared by each of its values, however unlike their sizes are."""

from __future__ import annotations

import msgspec
import numpy as np

from onnxserve.release.observations import Observation
from onnxserve.release.shadows import Pairs, Report
from tests.unit.onnxserve.release.test_rollout import ALWAYS, fresh, looks


def valued(version: str, *values: float) -> Observation:
    """An answer of a regression, whose score is the sum of its values."""
    predictions = msgspec.json.encode([{"score": sum(values), "values": values}]).decode()
    return Observation("p", "r", "demo", version, 200, 0.01, "miss", predictions)


def prices(version: str, moved: float, count: int = 40) -> list[Observation]:
    """Answers of two targets, a price of some 100,000 and a share of some 0.02, of which the share is `moved`."""
    draws = np.random.default_rng(len(version) + int(moved * 1e6))
    return [
        valued(version, *map(float, pair))
        for pair in zip(draws.normal(1e5, 3e4, count), draws.normal(0.02 + moved, 0.005, count), strict=True)
    ]


def test_a_target_of_small_size_that_moves_is_seen_beside_a_large_one():
    decision = looks(fresh(), *prices("1.0", 0), *prices("2.0", 0.01))
    assert (decision.action, [harm.measure for harm in decision.harms]) == ("rollback", ["score"])


def test_targets_that_do_not_move_or_only_in_their_last_digits_are_no_harm():
    stable = prices("1.0", 0)
    turns = [*stable[::-1], *(valued("2.0", *row.predictions[0].values) for row in stable)]
    assert looks(fresh(ALWAYS), *turns, count=100).action == "wait"
    rounded = [valued("1.0", 1e5, 0.02)] * 20 + [valued("2.0", 1e5 + 0.01, 0.02 + 1e-8)] * 20
    assert looks(fresh(ALWAYS), *rounded, count=100).action == "wait"


def test_values_of_a_regression_are_shifted_by_their_own_size():
    for values, shifted in (((1e5, 0.02), 0), ((1e5 + 500, 0.02), 0), ((1e5, 0.03), 1), ((1.05e5, 0.02), 1)):
        report, pairs = Report("demo", "1.0", "2.0"), Pairs()
        pairs.see(report, valued("1.0", 1e5, 0.02))
        pairs.see(report, valued("2.0", *values))
        assert (report.pairs, report.shifted) == (1, shifted)
