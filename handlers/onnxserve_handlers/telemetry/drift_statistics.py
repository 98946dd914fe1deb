"""How far a window of live rows lies from the rows of the proof, both as counts in bins, and how likely chance does it.

Rows of one request have often to do with each other, so they say less than as many independent rows. How much less is
measured by how unequal requests are (J. Rao and A. Scott, "The analysis of categorical data from complex sample
surveys", J. Am. Stat. Assoc. 76, 1981; the largest of their design effects is taken, which errs on the safe side).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Counts = npt.NDArray[Any]
LEAST_EXPECTED = 5.0  # rows that the test expects in a bin, at least
TINY = 1e-6


def bins_of(values: Array, edges: Array) -> Counts:
    """Return the bin of each value, shape (values,); -1 for NaN."""
    return np.where(np.isnan(values), -1, np.searchsorted(edges, values, side="right")).astype(np.int32)


def distances(reference: Counts, window: Counts) -> dict[str, float]:
    """Return three distances of two sets of counts.

    They are the population stability index (N. Siddiqi, "Credit risk scorecards", 2006), the Jensen-Shannon divergence
    in bits (J. Lin, "Divergence measures based on the Shannon entropy", IEEE Trans. Inf. Theory 37, 1991), and the
    largest difference of the cumulative shares (Kolmogorov-Smirnov). Both counts have the shape (bins,).
    """
    p, q = reference / reference.sum(), window / window.sum()
    safe_p, safe_q = np.maximum(p, TINY), np.maximum(q, TINY)
    middle = (safe_p + safe_q) / 2
    return {
        "psi": float(((safe_q - safe_p) * np.log(safe_q / safe_p)).sum()),
        "js": float((safe_p * np.log2(safe_p / middle) + safe_q * np.log2(safe_q / middle)).sum() / 2),
        "ks": float(np.abs(np.cumsum(p) - np.cumsum(q)).max()),
    }


def p_value(reference: Counts, window: Counts) -> float:
    """Return the chance of so large a difference between two draws of one population; rare bins are merged.

    `reference` has the shape (bins,), `window` (requests, bins), or (bins,) where each row is a request of its own. It
    is the chi-squared test of two binned samples (W. Press et al., "Numerical recipes", 3rd ed., 14.3.1).
    """
    table = np.atleast_2d(window)
    counts = table.sum(axis=0)
    both = reference + counts
    rare = both * (counts.sum() / both.sum()) < LEAST_EXPECTED
    merged = [np.column_stack([part[:, ~rare], part[:, rare].sum(axis=1)]) for part in (reference[None], table)]
    filled = (merged[0] + merged[1].sum(axis=0) > 0)[0]
    r, table = merged[0][0, filled], merged[1][:, filled]
    if len(r) < 2:
        return 1.0
    w = table.sum(axis=0) / design_effect(table)
    ratio = math.sqrt(w.sum() / r.sum())
    statistic = float(((ratio * r - w / ratio) ** 2 / (r + w)).sum())
    return chi_squared_tail(statistic, len(r) - 1)


def design_effect(table: Counts) -> float:
    """Return by how much the counts of all requests vary more than those of independent rows, at least 1.

    `table` has the shape (requests, bins). With one request nothing is known, and 1 is returned.
    """
    sizes = table.sum(axis=1)
    table, sizes = table[sizes > 0], sizes[sizes > 0]
    if len(sizes) < 2 or sizes.max() <= 1:
        return 1.0
    shares = table.sum(axis=0) / sizes.sum()
    residuals = (table - np.outer(sizes, shares))[:, shares > 0] / np.sqrt(shares[shares > 0])
    largest = np.linalg.norm(residuals, 2) ** 2 / sizes.sum()
    return max(1.0, float(largest) * len(sizes) / (len(sizes) - 1))


def chi_squared_tail(x: float, freedom: int) -> float:
    """Return P(X > x) for whole degrees of freedom (Abramowitz and Stegun 26.4.4 and 26.4.5)."""
    if x <= 0:
        return 1.0
    half = x / 2
    if freedom % 2:
        tail, term, start = math.erfc(math.sqrt(half)), math.sqrt(2 * x / math.pi) * math.exp(-half), 3
    else:
        tail, term, start = math.exp(-half), half * math.exp(-half), 4
    for k in range(start, freedom + 1, 2):
        tail += term
        term *= x / k
    return min(1.0, tail)
