"""Estimates, from the few select rows, of a candidate's flips and of the bound that the certify rows will give."""

from __future__ import annotations

import math
from collections.abc import Callable
from statistics import NormalDist

import numpy as np

from .arrays import Array
from .binomial import share_bound
from .drop_bound import drop_bound, drop_within
from .mean_bound import mean_bound
from .significance_levels import FIRST_LEVEL

FEW = 20_000  # rows for which bounds are looked up rather than estimated


def expected_flips(reference: Array, candidate: Array) -> float:
    """Return the expected share of rows whose label changes: on few rows, a count is mostly chance.

    A label changes when the error of the gap between torch's two best outputs exceeds the gap. Its errors
    over all rows give a normal distribution, and the mean over the rows of its tail beyond each row's gap
    is the share. Outputs of shape (rows, labels).
    """
    if reference.shape[-1] < 2:
        return 0.0
    order = np.argsort(reference, axis=-1)
    rows = np.arange(len(reference))
    best, second = order[:, -1], order[:, -2]
    gaps = reference[rows, best] - reference[rows, second]
    errors = candidate[rows, best] - candidate[rows, second] - gaps
    spread = float(np.sqrt(np.mean(errors**2)))
    if spread == 0:
        return 0.0
    tails = [math.erfc(gap / spread / math.sqrt(2)) / 2 for gap in gaps.tolist()]
    counted = float(np.mean(reference.argmax(axis=-1) != candidate.argmax(axis=-1)))
    # Errors with heavier tails than a normal distribution's show in the count.
    return max(float(np.mean(tails)), counted / 2)


def expected_moves(errors: Array, tolerance: float) -> float:
    """Return the expected share of rows with an error above `tolerance`; `errors` have shape (rows,)."""
    spread = float(np.sqrt(np.mean(errors**2)))
    if spread == 0:
        return 0.0
    return max(math.erfc(tolerance / spread / math.sqrt(2)), float(np.mean(errors > tolerance)) / 2)


def likely_counts(flips: float, rows: int, chance: float, drop: float = 0.0) -> tuple[int, int]:
    """Return counts of newly wrong and newly right labels that hold, or better ones, with probability `chance`.

    The share `flips` of `rows` changes; the true drop is `drop`: at 0, as many labels get right as wrong.
    """
    changed = round(flips * rows)
    # The quantile of a binomial distribution by the normal one, half a count less since counts are whole.
    wrong = math.ceil((changed + drop * rows + _quantile(chance) * math.sqrt(flips * rows) - 1) / 2)
    wrong = min(changed, max(0, wrong))
    return wrong, changed - wrong


def likely_drop(flips: float, rows: int, level: float, chance: float, drop: float = 0.0) -> float:
    """Return the bound of the drop that `rows` rows keep with probability `chance`, when `flips` of labels change."""
    return drop_bound(*likely_counts(flips, rows, chance, drop), rows, level)


def likely_share(share: float, rows: int, level: float, chance: float) -> float:
    """Return the bound that `rows` rows keep with a probability of `chance`, for the share of them that moves."""
    excess = _quantile(chance) * math.sqrt(share * (1 - share) * rows)
    return share_bound(min(rows, max(0, math.ceil(share * rows + excess))), rows, level)


def likely_mean(drops: Array, width: float, rows: int, level: float, chance: float) -> float:
    """Return the bound of a metric's mean drop that `rows` rows like these keep with probability `chance`.

    `drops` have the shape (measured rows,).
    """
    more = np.resize(drops, rows) / width
    return width * mean_bound(more, level) + _quantile(chance) * float(drops.std()) / math.sqrt(rows)


def rows_needed(budget: float, flips: float, level: float = FIRST_LEVEL, chance: float = 0.8) -> int:
    """Return the rows that certify `budget` with probability `chance` when `flips` of labels change without a loss.

    Above `FEW` rows, the normal distribution is near enough. 0 stands for a budget that no number of rows certifies.
    """

    def certify(rows: int) -> bool:
        counts = {(0, 0), likely_counts(flips, rows, chance)}
        return all(drop_within(budget, wrong, right, rows, level) for wrong, right in counts)

    return _fewest(certify, budget, flips, level, chance)


def share_rows_needed(budget: float, share: float, level: float = FIRST_LEVEL, chance: float = 0.8) -> int:
    """Return the same for the share of rows that move: with more rows the share stays, and its bound comes nearer."""

    def certify(rows: int) -> bool:
        return likely_share(share, rows, level, chance) <= budget

    return _fewest(certify, budget - share, share, level, chance)


def mean_rows_needed(budget: float, level: float = FIRST_LEVEL) -> int:
    """Return the same for a mean of scores that drop in no row, as a part of their range."""
    return _fewest(lambda rows: mean_bound(np.zeros(rows), level) <= budget, budget, 0.0, level, 0.5)


def _fewest(certify: Callable[[int], bool], margin: float, variance: float, level: float, chance: float) -> int:
    """Return the fewest rows that `certify`, by bisection.

    Beyond `FEW`, those whose standard error fits the margin, or if nothing changes those that show so.
    """
    if margin <= 0:
        return 0
    if not certify(FEW):
        deviations = _quantile(1 - level) + _quantile(chance)
        return math.ceil(max(deviations**2 * variance / margin**2, math.log(level) / math.log1p(-min(margin, 0.5))))
    low, high = 0, FEW
    while high - low > max(1, high // 200):
        middle = (low + high) // 2
        low, high = (low, middle) if certify(middle) else (middle, high)
    return high


def _quantile(chance: float) -> float:
    return NormalDist().inv_cdf(chance)
