"""How far two sets of counts lie apart, and how likely chance alone is to part them so.

Population stability index, Jensen-Shannon divergence (base 2), Kolmogorov-Smirnov distance over the bins, and a
chi-squared test of two samples (Press et al., Numerical Recipes, 14.3).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

Counts = npt.NDArray[np.int64]
LEAST_EXPECTED = 5.0  # rows of a bin, for the test
TINY = 1e-6


def counted(values: npt.NDArray[Any], edges: npt.NDArray[Any]) -> Counts:
    """Values in each bin."""
    found: Counts = np.bincount(np.searchsorted(edges, values, side="right"), minlength=len(edges) + 1)
    return found


def distances(reference: Counts, window: Counts) -> dict[str, float]:
    """PSI, JS and KS of two sets of counts."""
    p, q = reference / reference.sum(), window / window.sum()
    safe_p, safe_q = np.maximum(p, TINY), np.maximum(q, TINY)
    middle = (safe_p + safe_q) / 2
    return {
        "psi": float(((safe_q - safe_p) * np.log(safe_q / safe_p)).sum()),
        "js": float((safe_p * np.log2(safe_p / middle) + safe_q * np.log2(safe_q / middle)).sum() / 2),
        "ks": float(np.abs(np.cumsum(p) - np.cumsum(q)).max()),
    }


def p_value(reference: Counts, window: Counts) -> float:
    """Chance of counts that differ so much, if both are draws of one population; rare bins are put together."""
    both = reference + window
    rare = both * (window.sum() / both.sum()) < LEAST_EXPECTED
    r, w = (np.append(one[~rare], one[rare].sum()) for one in (reference, window))
    r, w = r[r + w > 0], w[r + w > 0]
    if len(r) < 2:
        return 1.0
    ratio = math.sqrt(w.sum() / r.sum())
    statistic = float(((ratio * r - w / ratio) ** 2 / (r + w)).sum())
    return chi_squared_tail(statistic, len(r) - 1)


def chi_squared_tail(x: float, freedom: int) -> float:
    """P(X > x) for whole degrees of freedom (Abramowitz and Stegun 26.4.4 and 26.4.5)."""
    if x <= 0:
        return 1.0
    half = x / 2
    if freedom % 2:
        found, term, start = math.erfc(math.sqrt(half)), math.sqrt(2 * x / math.pi) * math.exp(-half), 3
    else:
        found, term, start = math.exp(-half), half * math.exp(-half), 4
    for k in range(start, freedom + 1, 2):
        found += term
        term *= x / k
    return min(1.0, found)
