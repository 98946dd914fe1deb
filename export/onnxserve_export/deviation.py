"""How far a row's answer moves with the other rows of its batch."""

from __future__ import annotations

from collections.abc import Sequence

from onnxserve.archive.deviation import TOLERANCE, deviation, magnitude_of, recorded_scale, scale_of

from .arrays import Array

__all__ = ["TOLERANCE", "batch_shift", "deviation", "magnitude_of", "recorded_scale", "scale_of"]


def batch_shift(together: Array, alone: Array, mixed: Array, mixed_rows: Sequence[int], scale: Array) -> float:
    """Return how far a row's answer moves between its batch, a batch of its own (unpadded), and a random batch.

    The unit is `scale`. `alone` are outputs of the first rows of `together`, `mixed` of those that `mixed_rows` names.
    """
    return max(
        deviation(alone, together[: len(alone)], scale),
        deviation(mixed, together[list(mixed_rows)], scale),
    )
