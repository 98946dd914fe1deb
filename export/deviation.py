"""How far a row's answer moves with its neighbours."""

from __future__ import annotations

from collections.abc import Sequence

from onnxserve.archive.deviation import TOLERANCE, deviation
from onnxserve.archive.offline import Array

__all__ = ["TOLERANCE", "batch_shift", "deviation"]


def batch_shift(together: Array, alone: Array, mixed: Array, company: Sequence[int]) -> float:
    """How far a row's answer moves between its batch, being alone (so unpadded), and random company.

    `alone` are the first rows of `together`; `mixed` those that `company` names.
    """
    return max(deviation(alone, together[: len(alone)]), deviation(mixed, together[list(company)]))
