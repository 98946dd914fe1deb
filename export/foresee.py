"""What the certify rows will most likely say of a candidate, judged from fewer select rows."""

from __future__ import annotations

import math

import numpy as np

from .paired import Z95
from .work import Array

Z67 = 0.4307272992954576  # quantile of the normal distribution for 2 of 3


def expected_flips(reference: Array, candidate: Array) -> float:
    """Share of rows whose label changes, expected rather than counted: on few rows a count is mostly chance.

    A label changes when the error of the gap between torch's two best outputs exceeds the gap. Its errors
    over all rows give a normal distribution, and the mean over the rows of its tail beyond each row's gap
    is the share. Outputs of shape (rows, labels).
    """
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


def likely_bound(flips: float, rows: int) -> float:
    """The bound of the drop that `rows` rows keep two times of three, when as many labels get right as wrong."""
    return (Z95 + Z67) * math.sqrt(flips * rows + 1) / (rows + 2)
