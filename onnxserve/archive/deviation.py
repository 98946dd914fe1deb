"""How far outputs lie apart, and how far is too far."""

from __future__ import annotations

import numpy as np

from .offline import Array

# Relative to the largest output: kernels for other batch sizes add in another order.
TOLERANCE = 1e-3


def deviation(left: Array, right: Array) -> float:
    """Largest absolute difference, relative to the largest magnitude of `right` where that is above 1."""
    if left.shape != right.shape:
        return float("inf")
    scale = max(1.0, float(np.abs(right).max(initial=0.0)))
    worst = float(np.abs(left - right).max(initial=0.0)) / scale
    return worst if np.isfinite(worst) else float("inf")
