"""An upper bound of the mean of values whose range is known, whatever their distribution and unseen tails."""

from __future__ import annotations

import math

import numpy as np

from .arrays import Array

STAKES = np.geomspace(0.02, 1.0, 10)  # parts of the capital that are bet
RESOLUTION = 1e-4


def mean_bound(values: Array, level: float) -> float:
    """Return an upper bound of the mean of `values` from -1 to 1, shape (rows,).

    It lies below the truth in `level` of samples at most.

    For each mean, a gambler bets that values lie below it, with a fixed stake for each of many equal parts of
    a capital of 1. If the true mean is no lower, the capital doesn't grow on average, so it reaches 1 / level with
    a probability of at most `level` (Markov). The bound is the least mean at which it did.
    I. Waudby-Smith, A. Ramdas, "Estimating means of bounded random variables by betting",
    J. R. Stat. Soc. B 86 (2024).
    """
    distinct, counts = np.unique(values, return_counts=True)
    low, high = float(values.mean()), 1.0
    while high - low > RESOLUTION * max(abs(high), RESOLUTION):
        middle = (low + high) / 2
        low, high = (low, middle) if _log_capital(middle, distinct, counts) >= -math.log(level) else (middle, high)
    return high


def _log_capital(mean: float, values: Array, counts: Array) -> float:
    """Return the log of the mean capital over the stakes; a stake of 1 against a value 2 above the mean is ruin."""
    factors = 1 + STAKES[:, None] * (mean - values)
    with np.errstate(divide="ignore"):
        logs = (counts * np.log(np.maximum(factors, 0.0))).sum(axis=1)
    return float(np.logaddexp.reduce(logs) - math.log(len(STAKES)))
