"""An upper bound of the accuracy drop in matched pairs that holds whatever share of labels gets right.

Of `rows` pairs, `wrong` went from right to wrong and `right` from wrong to right; the bound is of the
drop, the difference of the two shares. It depends on a second unknown, the share that gets right. The bound is
Buehler's: the largest drop at which so good a result would still be more likely than `level`. Results are ordered by
the score statistic. That probability is exact, and its largest value over the unknown share is looked for between
exact limits of that share, whose own error is taken off `level`.

R. Buehler, "Confidence intervals for the product of two binomial parameters", J. Am. Stat. Assoc. 52 (1957);
C. Lloyd, M. Moldovan, "Exact one-sided confidence limits for the difference between two correlated proportions",
Statistics in Medicine 26 (2007); T. Tango, "Equivalence test and confidence interval for the difference in proportions
for the paired-sample design", Statistics in Medicine 17 (1998); R. Berger, D. Boos, "P values maximized over a
confidence set for the nuisance parameter", J. Am. Stat. Assoc. 89 (1994).
"""

from __future__ import annotations

import math
from functools import lru_cache
from statistics import NormalDist

import numpy as np

from .arrays import Array
from .binomial import HALVINGS, probability, share_bound, share_floor

UNKNOWN = 0.02  # of `level`: the error of the limits between which the share that gets right is sought
STEP = 0.02  # of a standard deviation of the drop: how finely
REACH = 7  # standard deviations beyond which counts are taken as a whole
RESOLUTION = 1e-3  # of the bound
TINY = 1e-300


def score(drop: float, wrong: Array, right: Array, rows: int) -> Array:
    """Return Tango's statistic: how many standard deviations the counts lie above those that `drop` makes likely.

    `wrong` and `right` are counts of one shape, which the result has too; -infinity stands for counts below without a
    variance.
    """
    if drop < 0:
        return -score(-drop, right, wrong, rows)
    slope = 2 * (rows - wrong) * drop - (wrong + right) * (1 - drop)
    share = (np.sqrt(slope**2 + 8 * rows * right * drop * (1 - drop)) - slope) / (4 * rows)
    variance = rows * (2 * share + drop - drop**2)
    excess = wrong - right - rows * drop
    without = np.where(excess < 0, -np.inf, 0.0)
    return np.where(variance > 0, excess / np.sqrt(np.where(variance > 0, variance, 1.0)), without)


class EqualOrBetterResults:
    """All results as good as one or better, and how likely they are together."""

    def __init__(self, wrong: int, right: int, rows: int, level: float) -> None:
        self.rows = rows
        self.spent = UNKNOWN * level
        # Limits of the share that gets right.
        self.low = share_floor(right, rows, self.spent / 2)
        self.high = share_bound(right, rows, self.spent / 2)
        self.limit = _score_bound(wrong, right, rows, level)
        first, last = (_reachable_count(share, rows, sign) for share, sign in ((self.low, -1), (self.high, 1)))
        self.right = np.arange(first, last + 1)
        self.most = _most_wrong(self.limit, self.right, rows, level)
        # The result itself belongs to them, whatever rounding says.
        self.most[self.right >= right] = np.maximum(self.most[self.right >= right], wrong)

    def probability(self, drop: float) -> float:
        """Return an upper bound of their probability when the true drop is `drop` or more, the limits' error included.

        Over an interval of the unknown share they are no likelier than with the fewest wrong and the
        most right that lie in it, so a grid of intervals bounds the maximum from above.
        """
        edges = self._edges(drop)
        if len(edges) < 2:
            return self.spent
        wrong, right = np.maximum(edges[:-1] + drop, TINY), np.maximum(edges[1:], TINY)
        # Shape (intervals, counts).
        chances = probability(self.right, self.rows, np.log(right)[:, None], np.log1p(-right)[:, None])
        together = (chances * self._few_wrong(wrong / (1 - right))).sum(axis=1)
        return float((together + np.maximum(0.0, 1 - chances.sum(axis=1))).max()) + self.spent

    def _edges(self, drop: float) -> Array:
        top = min(self.high, (1 - drop) / 2)
        edges = [self.low]
        while edges[-1] < top:
            edges.append(min(top, edges[-1] + STEP * math.sqrt((2 * edges[-1] + max(drop, TINY)) / self.rows)))
        return np.array(edges)

    def _few_wrong(self, share: Array) -> Array:
        """Return P(at most `most` wrong among the rows that don't get right), shape (intervals, counts).

        From one count of right rows to the next there is a row less and more may be wrong; both add
        probability, and the sums of what they add are exact: P(S_n-1 <= c) = P(S_n <= c) + share P(S_n-1 = c).
        """
        logs = np.log(share)[:, None], np.log1p(-share)[:, None]
        steps = np.diff(self.most)
        rest = self.rows - self.right
        begin = probability(np.arange(self.most[0] + 1), rest[0], *logs).sum(axis=1, keepdims=True)
        kept = np.maximum(self.most[:-1], 0)
        fewer = share[:, None] * probability(kept, rest[1:], *logs) * (self.most[:-1] >= 0)
        place = np.repeat(np.arange(len(steps)), steps)
        counts = self.most[:-1][place] + 1 + np.arange(len(place)) - (np.cumsum(steps) - steps)[place]
        more = probability(counts, rest[1:][place], *logs)
        summed = np.pad(np.cumsum(more, axis=1), ((0, 0), (1, 0)))[:, np.cumsum(steps)]
        return np.asarray(begin + np.pad(np.cumsum(fewer, axis=1) + summed, ((0, 0), (1, 0))))


def drop_within(budget: float, wrong: int, right: int, rows: int, level: float) -> bool:
    """Return whether the bound is at most `budget`; this is quicker than computing the bound."""
    return EqualOrBetterResults(wrong, right, rows, level).probability(budget) <= level


@lru_cache(maxsize=1024)
def drop_bound(wrong: int, right: int, rows: int, level: float) -> float:
    """Return the upper bound of the drop, from 0 to 1: it lies below the truth in `level` of samples at most."""
    results = EqualOrBetterResults(wrong, right, rows, level)
    if results.probability(0.0) <= level:
        return 0.0
    low, high = 0.0, max(0.0, results.limit)
    while results.probability(high) > level:
        low, high = high, min(1.0, 1.02 * high + 0.1 / rows)
    while high - low > RESOLUTION * high:
        middle = (low + high) / 2
        low, high = (middle, high) if results.probability(middle) > level else (low, middle)
    return high


def _score_bound(wrong: int, right: int, rows: int, level: float) -> float:
    """Return the approximate bound that orders results, by halving: the score falls as the drop grows."""
    far = NormalDist().inv_cdf(level)
    low, high = -1.0, 1.0
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if score(middle, np.array(wrong), np.array(right), rows) > far else (low, middle)
    return high


def _reachable_count(share: float, rows: int, sign: int) -> int:
    """Return the count that hardly any sample exceeds, or falls below for a negative `sign`."""
    spread = math.sqrt(rows * share * (1 - share) + 1)
    return int(min(rows, max(0, rows * share + sign * (REACH * spread + 4))))


def _most_wrong(limit: float, right: Array, rows: int, level: float) -> Array:
    """Return for each count of right rows how many may be wrong with at most this score bound; -1 for none."""
    far = NormalDist().inv_cdf(level)
    within, beyond = np.full(len(right), -1), rows - right + 1
    while (beyond - within > 1).any():
        middle = np.maximum(0, (within + beyond) // 2)
        open_ = beyond - within > 1
        good = score(limit, middle, right, rows) <= far
        within, beyond = np.where(open_ & good, middle, within), np.where(open_ & ~good, middle, beyond)
    # More right rows are never worse.
    return np.asarray(np.maximum.accumulate(within))
