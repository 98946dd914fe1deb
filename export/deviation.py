"""How far outputs lie apart, and how far a row's answer moves with its neighbours."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from onnxserve.archive.offline import Array

# Relative to the largest output: kernels for other batch sizes add in another order.
TOLERANCE = 1e-3


def deviation(left: Array, right: Array) -> float:
    """Largest absolute difference, relative to the largest magnitude of `right` where that is above 1."""
    if left.shape != right.shape:
        return float("inf")
    scale = max(1.0, float(np.abs(right).max(initial=0.0)))
    worst = float(np.abs(left - right).max(initial=0.0)) / scale
    return worst if np.isfinite(worst) else float("inf")


def batch_shift(together: Array, alone: Array, mixed: Array, company: Sequence[int]) -> float:
    """How far a row's answer moves between its batch, being alone (so unpadded), and random company.

    `alone` are the first rows of `together`; `mixed` those that `company` names.
    """
    return max(deviation(alone, together[: len(alone)]), deviation(mixed, together[list(company)]))
