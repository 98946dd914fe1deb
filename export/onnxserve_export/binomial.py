"""Binomial probabilities from a table of log factorials, and exact bounds of a share."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np

from .arrays import Array

HALVINGS = 60  # of an interval of shares: beyond the resolution of a float


@lru_cache(maxsize=32)
def log_factorials(bits: int) -> Array:
    """Return the logarithms of the factorials of all numbers of `bits` bits, shape (2 ** bits,)."""
    return np.array([math.lgamma(number + 1) for number in range(2**bits)])


def probability(count: Array, rows: Array | int, log_share: Array | float, log_rest: Array | float) -> Array:
    """Return P(X = `count`) among `rows`, given the logarithms of the share and of 1 less the share."""
    table = log_factorials(int(np.max(rows, initial=0)).bit_length())
    rest = rows - count
    ways = table[rows] - table[np.minimum(count, rows)] - table[np.maximum(rest, 0)]
    return np.exp(np.where(rest >= 0, ways + count * log_share + rest * log_rest, -np.inf))


def cumulative(count: int, rows: int, share: float) -> float:
    """Return P(X <= `count`) among `rows` when each has the probability `share`."""
    if share <= 0 or count >= rows:
        return 1.0
    if share >= 1 or count < 0:
        return 0.0
    counts = np.arange(count + 1)
    return float(probability(counts, rows, math.log(share), math.log1p(-share)).sum())


def share_bound(count: int, rows: int, level: float) -> float:
    """Return the exact upper bound of a share that `count` of `rows` rows show.

    It lies below the truth in `level` of samples at most.

    C. Clopper, E. Pearson, "The use of confidence or fiducial limits illustrated in the case of
    the binomial", Biometrika 26 (1934).
    """
    low, high = count / rows, 1.0
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if cumulative(count, rows, middle) > level else (low, middle)
    return high


def share_floor(count: int, rows: int, level: float) -> float:
    """Return the exact lower bound of such a share: 1 less the upper bound of the other rows' share."""
    return 1 - share_bound(rows - count, rows, level)
