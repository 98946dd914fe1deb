"""The bound of the drop in matched pairs holds whatever share gets right, and is hardly wider than it must be."""

import math

import numpy as np
import pytest

from onnxserve_export.binomial import share_bound, share_floor
from onnxserve_export.drop_bound import drop_bound
from onnxserve_export.mean_bound import mean_bound
from onnxserve_export.significance_levels import FAMILYWISE_ERROR, FIRST_LEVEL, level_after
from tests.helpers.acceptance import most_wrong


def chance_to_accept(rows: int, budget: float, newly_right: float, level: float, drop: float) -> float:
    """By summing over all but 1 in 10,000 results; `newly_right` is the true share, and so is `drop`."""
    spread = 4 * math.sqrt(rows * newly_right) + 4 * (newly_right > 0)
    first, last = max(0, int(rows * newly_right - spread)), int(rows * newly_right + spread)
    rights = range(first, last + 1)
    wrong = (newly_right + drop) / (1 - newly_right)
    return sum(
        binomial(right, rows, newly_right) * at_most(most, rows - right, wrong)
        for right, most in zip(rights, most_wrong(rows, budget, level, rights).tolist(), strict=True)
    )


def binomial(count: int, rows: int, share: float) -> float:
    if share == 0:
        return float(count == 0)
    log = math.lgamma(rows + 1) - math.lgamma(count + 1) - math.lgamma(rows - count + 1)
    return math.exp(log + count * math.log(share) + (rows - count) * math.log1p(-share))


def at_most(count: int, rows: int, share: float) -> float:
    return sum(binomial(number, rows, share) for number in range(count + 1))


@pytest.mark.parametrize(("rows", "budget"), [(200, 0.02), (542, 0.01), (830, 0.01), (2165, 0.005), (5000, 0.002)])
@pytest.mark.parametrize("newly_right", [0.0, 0.0005, 0.005, 0.05])
def test_a_variant_at_the_edge_of_the_budget_is_accepted_by_at_most_one_in_twenty(rows, budget, newly_right):
    chance = chance_to_accept(rows, budget, newly_right, FAMILYWISE_ERROR, drop=budget)
    assert chance <= FAMILYWISE_ERROR + 1e-6
    if newly_right == 0:
        assert chance > 0.01  # and not because hardly anything is accepted


@pytest.mark.parametrize("level", [0.05, 0.005])
def test_no_result_of_few_rows_has_a_bound_below_the_truth_more_often_than_its_level(level):
    rows = 14
    results = [(wrong, right) for wrong in range(rows + 1) for right in range(rows + 1 - wrong)]
    bounds = np.array([drop_bound(wrong, right, rows, level) for wrong, right in results])
    for drop in (0.001, 0.03, 0.1, 0.3, 0.6, 0.9):
        for right in np.linspace(1e-9, (1 - drop) / 2 - 1e-9, 40):
            shares = np.log([right + drop, right, 1 - 2 * right - drop])
            chances = np.array(
                [
                    math.exp(
                        math.lgamma(rows + 1)
                        + sum(
                            count * log - math.lgamma(count + 1)
                            for count, log in zip((won, lost, rows - won - lost), shares, strict=True)
                        )
                    )
                    for won, lost in results
                ]
            )
            assert chances.sum() == pytest.approx(1)
            assert chances[bounds < drop].sum() <= level


@pytest.mark.parametrize("rows", [300, 830, 20_000])
def test_where_nothing_gets_right_the_bound_is_nearly_that_of_a_single_share(rows):
    for wrong in (0, 1, 4):
        exact = share_bound(wrong, rows, 0.05)
        assert exact <= drop_bound(wrong, 0, rows, 0.05) <= 1.02 * exact


def test_where_many_change_the_bound_is_nearly_that_of_the_normal_distribution():
    normal = 1.645 * math.sqrt(400 / 20_000**2)
    assert normal <= drop_bound(200, 200, 20_000, 0.05) <= 1.05 * normal


def test_what_is_lost_raises_the_bound_and_what_is_won_or_more_rows_lower_it():
    assert drop_bound(3, 2, 800, 0.05) > drop_bound(2, 2, 800, 0.05) > drop_bound(2, 3, 800, 0.05)
    assert drop_bound(0, 0, 100, 0.05) > drop_bound(0, 0, 1000, 0.05) > 0
    assert drop_bound(2, 1, 800, 0.01) > drop_bound(2, 1, 800, 0.05)
    assert drop_bound(0, 300, 800, 0.05) == 0


@pytest.mark.parametrize(
    ("wrong", "right", "rows"), [(1, 0, 1), (0, 1, 1), (0, 0, 1), (4, 0, 4), (0, 4, 4), (900, 100, 1000), (10, 10, 20)]
)
def test_extreme_results_have_bounds_too(wrong, right, rows):
    assert max(0.0, (wrong - right) / rows) <= drop_bound(wrong, right, rows, 0.05) <= 1


def test_a_shares_bounds_are_those_of_clopper_and_pearson():
    assert share_bound(0, 300, 0.05) == pytest.approx(1 - 0.05 ** (1 / 300))
    assert share_bound(3, 20, 0.025) == pytest.approx(0.3789, abs=1e-4)  # a table's value
    assert share_floor(3, 20, 0.025) == pytest.approx(0.0321, abs=1e-4)
    assert share_bound(7, 7, 0.05) == 1


@pytest.mark.parametrize("share", [0.002, 0.02, 0.3])
def test_a_means_bound_covers_rare_losses_that_most_samples_show_few_of(share):
    draws = np.random.default_rng(3)
    misses = sum(mean_bound((draws.random(300) < share).astype(float), 0.05) < share for _ in range(400))
    assert misses / 400 <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / 400)


def test_a_means_bound_is_above_the_mean_and_falls_with_rows():
    assert mean_bound(np.zeros(300), 0.05) > mean_bound(np.zeros(3000), 0.05) > 0
    assert mean_bound(np.full(100, 0.2), 0.05) > 0.2
    assert mean_bound(np.ones(10), 0.05) == 1


def test_the_levels_of_all_tests_add_up_to_the_error_that_is_allowed():
    levels = [level_after(refusals) for refusals in range(10_000)]
    assert levels[0] == FIRST_LEVEL
    assert levels == sorted(levels, reverse=True)
    assert FAMILYWISE_ERROR - 1e-5 < sum(levels) <= FAMILYWISE_ERROR
