"""Comparing a candidate with torch on the same labelled rows."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from .work import Array

Z95 = 1.6448536269514722  # one-sided 95 % quantile of the normal distribution


@dataclass(frozen=True)
class Paired:
    """Accuracy of both, the drop with its one-sided 95 % upper bound, and changed labels, as shares of `rows`."""

    rows: int
    accuracy: float
    reference_accuracy: float
    drop: float
    bound: float
    flips: float


def drop_bound(newly_wrong: int, newly_right: int, rows: int) -> float:
    """One-sided 95 % upper bound of the accuracy drop in matched pairs.

    Adjusted Wald interval with half an observation added to each of the four cells:
    A. Agresti, Y. Min, "Simple improved confidence intervals for comparing matched
    proportions", Statistics in Medicine 24 (2005).
    """
    wrong, right, count = newly_wrong + 0.5, newly_right + 0.5, rows + 2
    variance = (wrong + right - (wrong - right) ** 2 / count) / count**2
    return (wrong - right) / count + Z95 * math.sqrt(variance)


def rows_needed(budget: float, flips: float) -> int:
    """Rows that certify `budget` when `flips` of them change and the true drop is nil."""
    return math.ceil(Z95**2 * max(flips, 1e-4) / budget**2) if budget > 0 else 0


def compare_labels(reference: Array, candidate: Array, truth: Array) -> Paired:
    """`reference` and `candidate` are outputs, shape (rows, labels); `truth` the labels' indices, shape (rows,)."""
    theirs, ours = reference.argmax(axis=-1), candidate.argmax(axis=-1)
    wrong = int(((theirs == truth) & (ours != truth)).sum())
    right = int(((theirs != truth) & (ours == truth)).sum())
    rows = len(truth)
    return Paired(
        rows,
        float((ours == truth).mean()),
        float((theirs == truth).mean()),
        (wrong - right) / rows,
        drop_bound(wrong, right, rows),
        float((theirs != ours).mean()),
    )


def compare_values(reference: Array, candidate: Array) -> Paired:
    """For a model without labels: the drop is the error against torch's outputs, root mean square over their spread."""
    spread = float(reference.std()) or 1.0
    errors = ((candidate - reference) / spread).reshape(len(reference), -1) ** 2
    per_row = errors.mean(axis=-1)
    drop = math.sqrt(float(per_row.mean()))
    upper = float(per_row.mean()) + Z95 * float(per_row.std()) / math.sqrt(len(per_row))
    return Paired(len(reference), 1 - drop, 1.0, drop, math.sqrt(upper), float(np.mean(per_row > 0)))
