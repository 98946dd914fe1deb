"""How close two models' outputs are beyond their answers: direction, size and honesty of the scores."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from onnxserve.archive.offline import Array

BINS = 15


@dataclass(frozen=True)
class Closeness:
    """Cosine of outputs (mean and worst row), largest error, and calibration errors; None without labels."""

    cosine: float
    worst_cosine: float
    max_error: float
    calibration_error: float | None
    reference_calibration_error: float | None


def compare(reference: Array, candidate: Array, truth: Array | None) -> Closeness:
    """Outputs of shape (rows, ...); `truth` the labels' indices, shape (rows,)."""
    left, right = reference.reshape(len(reference), -1), candidate.reshape(len(candidate), -1)
    norms = np.linalg.norm(left, axis=-1) * np.linalg.norm(right, axis=-1)
    cosines = (left * right).sum(axis=-1) / np.maximum(norms, 1e-12)
    return Closeness(
        float(cosines.mean()),
        float(cosines.min()),
        float(np.abs(left - right).max()),
        None if truth is None else calibration_error(candidate, truth),
        None if truth is None else calibration_error(reference, truth),
    )


def softmax(logits: Array) -> Array:
    """Probabilities over the last axis; shifted by the maximum so that exp can't overflow."""
    exps = np.exp(logits.astype(np.float64) - logits.max(axis=-1, keepdims=True))
    return np.asarray(exps / exps.sum(axis=-1, keepdims=True))


def calibration_error(logits: Array, truth: Array) -> float:
    """Expected calibration error over 15 bins of the top probability.

    C. Guo et al., "On calibration of modern neural networks", ICML 2017.
    """
    scores = softmax(logits)
    top, hits = scores.max(axis=-1), scores.argmax(axis=-1) == truth
    bins = np.minimum((top * BINS).astype(int), BINS - 1)
    sizes = np.bincount(bins, minlength=BINS)
    gaps = np.bincount(bins, weights=hits - top, minlength=BINS)
    return float(np.abs(gaps).sum() / max(1, sizes.sum()))
