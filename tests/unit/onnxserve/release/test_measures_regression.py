"""Versions of a regression are compared by each of its values, however unlike their sizes are."""

from __future__ import annotations

import msgspec
import numpy as np

from onnxserve.release.measures import largest_difference
from onnxserve.release.observations import Observation
from onnxserve.release.sequential import Wealth
from onnxserve.release.shadows import Pairs, Report
from tests.unit.onnxserve.release.test_rollout import ALWAYS, fresh, looks

ALPHA = 0.05


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


def ends(moved: float, blocks: int = 40, runs: int = 200) -> float:
    """Return the share of canaries that the bets end, of six values that drift, depend on each other and have tails.

    Unlike the rows of one test, the values of a block share a shift, as rows of one hour do; `moved` is added to the
    canary's last value, in spreads.
    """
    draws = np.random.default_rng(11)
    sizes = 10.0 ** np.arange(5, -1, -1)
    ended = 0
    for _ in range(runs):
        wealth = Wealth(1, both=True)
        wealth.begin()
        log_wealth = [0.0]
        for _ in range(blocks):
            shared = draws.normal(size=(1, 6)) * 3
            rows = shared + draws.standard_t(3, size=(2, 12, 6)) + draws.normal(size=(2, 12, 1))
            rows[1, :, 5] += moved
            wealth.add(largest_difference(rows[0] * sizes, rows[1] * sizes))
            log_wealth.append(wealth.log)
        ended += max(log_wealth) >= np.log(1 / ALPHA)
    return ended / runs


def test_canaries_of_several_values_end_without_cause_no_more_often_than_they_may():
    assert ends(0.0) <= ALPHA + 2.33 * np.sqrt(ALPHA * (1 - ALPHA) / 200)


def test_a_value_that_moves_among_others_that_do_not_ends_nearly_all_canaries():
    assert ends(3.0) > 0.95
