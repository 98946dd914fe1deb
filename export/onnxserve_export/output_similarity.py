"""How similar two models' outputs are beyond their labels: direction, largest error and calibration."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from onnxserve.archive.deviation import row_slices
from onnxserve_handlers.tasks.classification import probabilities

from .arrays import Array

BINS = 15
ROUNDING = 1e-6  # by which a probability may lie beyond 0 or 1
Activation = Literal["softmax", "sigmoid", "none"]


@dataclass(frozen=True)
class OutputSimilarity:
    """Cosine of outputs (mean and worst row), largest error, and calibration errors; None without labels."""

    cosine: float
    worst_cosine: float
    max_error: float
    calibration_error: float | None
    reference_calibration_error: float | None


def compare(reference: Array, candidate: Array, truth: Array | None) -> OutputSimilarity:
    """Compare outputs of shape (rows, ...); `truth` are the labels' indices, shape (rows,), None without labels."""
    parts = [(reference[rows], candidate[rows]) for rows in row_slices(reference)]
    cosines = np.concatenate([cosines_of(*part) for part in parts])
    activation = activation_of(reference)
    return OutputSimilarity(
        float(cosines.mean()),
        float(cosines.min()),
        max(float(np.abs(left - right.astype(np.float64)).max(initial=0.0)) for left, right in parts),
        None if truth is None else calibration_error(candidate, truth, activation),
        None if truth is None else calibration_error(reference, truth, activation),
    )


def cosines_of(reference: Array, candidate: Array) -> Array:
    """Return each row's cosine, shape (rows,); 1 for two rows of zeros, and 0 beside one of them."""
    left, right = (array.reshape(len(array), -1).astype(np.float64) for array in (reference, candidate))
    lengths = np.linalg.norm(left, axis=-1) * np.linalg.norm(right, axis=-1)
    products = np.divide((left * right).sum(axis=-1), lengths, out=np.zeros(len(left)), where=lengths > 0)
    return np.where(left.any(axis=-1) | right.any(axis=-1), products, 1.0)


def activation_of(outputs: Array) -> Activation:
    """Return what turns a classifier's outputs into scores: `none` where all lie in 0 to 1, as probabilities do."""
    within = outputs.size and outputs.min() >= -ROUNDING and outputs.max() <= 1 + ROUNDING
    return "none" if within else "softmax"


def calibration_error(outputs: Array, truth: Array, activation: Activation) -> float:
    """Return the expected calibration error over 15 bins of the top probability, from 0 to 1.

    `outputs` have the shape (rows, labels), `truth` the shape (rows,).

    C. Guo et al., "On calibration of modern neural networks", ICML 2017.
    """
    scores = probabilities(outputs, activation)
    top, hits = scores.max(axis=-1), scores.argmax(axis=-1) == truth
    bins = np.clip((top * BINS).astype(int), 0, BINS - 1)
    sizes = np.bincount(bins, minlength=BINS)
    gaps = np.bincount(bins, weights=hits - top, minlength=BINS)
    return float(np.abs(gaps).sum() / max(1, sizes.sum()))
