"""How far a row's answer moves with its neighbours."""

from __future__ import annotations

from collections.abc import Sequence

from onnxserve.archive.deviation import TOLERANCE, deviation, magnitude_of, recorded_scale, scale_of

from .arrays import Array

__all__ = ["TOLERANCE", "batch_shift", "deviation", "magnitude_of", "recorded_scale", "scale_of"]


def batch_shift(together: Array, alone: Array, mixed: Array, mixed_rows: Sequence[int], scale: Array) -> float:
    """How far a row's answer moves between its batch, being alone (so unpadded), and random company, in `scale`s.

    `alone` are the first rows of `together`; `mixed` those that `mixed_rows` names.
    """
    return max(
        deviation(alone, together[: len(alone)], scale),
        deviation(mixed, together[list(mixed_rows)], scale),
    )
