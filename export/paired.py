"""Comparing a candidate with torch on the same rows: how much worse, with a bound, and how sure."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from onnxserve.archive.offline import Array

Z95 = 1.6448536269514722  # one-sided 95 % quantile of the normal distribution
RESAMPLES = 2000
SEED = 20240229
NEIGHBOURS = 2000  # rows among which the nearest is looked for


@dataclass(frozen=True)
class Paired:
    """Scores of both, the drop with its one-sided 95 % upper bound, and changed answers, as shares of `rows`.

    A score is 1 for a right label; for other tasks docs/11-statistics.md says what it is. `p` is the
    probability of so many newly wrong labels were the candidate as good as torch; 1 for other tasks.
    """

    rows: int
    accuracy: float
    reference_accuracy: float
    drop: float
    bound: float
    flips: float
    p: float = 1.0


def drop_bound(newly_wrong: float, newly_right: float, rows: float) -> float:
    """One-sided 95 % upper bound of the accuracy drop in matched pairs.

    Adjusted Wald interval with half an observation added to each of the four cells:
    A. Agresti, Y. Min, "Simple improved confidence intervals for comparing matched
    proportions", Statistics in Medicine 24 (2005).
    """
    wrong, right, count = newly_wrong + 0.5, newly_right + 0.5, rows + 2
    variance = (wrong + right - (wrong - right) ** 2 / count) / count**2
    return (wrong - right) / count + Z95 * math.sqrt(variance)


def mcnemar(newly_wrong: int, newly_right: int) -> float:
    """Exact one-sided p: at least `newly_wrong` of the changed rows, were both ways as likely.

    Q. McNemar, "Note on the sampling error of the difference between correlated proportions
    or percentages", Psychometrika 12 (1947); the exact form is a sign test on changed rows.
    """
    changed = newly_wrong + newly_right
    tail = sum(math.comb(changed, count) for count in range(newly_wrong, changed + 1))
    return float(tail / 2**changed)


def rows_needed(budget: float, flips: float) -> int:
    """Rows that certify `budget` when `flips` of them change and the true drop is nil."""
    return math.ceil(Z95**2 * max(flips, 1e-4) / budget**2) if budget > 0 else 0


def over_budget(paired: Paired, budget: float) -> str:
    """Drop, bound and budget in words, empty when the bound keeps the budget."""
    if paired.bound <= budget:
        return ""
    return f"accuracy drop {paired.drop:.2%}, 95 % bound {paired.bound:.2%}, {budget:.2%} is allowed"


def bootstrap_bound(differences: Array, spread: float) -> float:
    """One-sided 95 % upper bound of the mean of `differences`, shape (rows,), by resampling rows; seeded.

    Never below `3 * spread / rows`: what was not seen in n rows may still befall 3 in n
    (B. Efron, R. Tibshirani, "An Introduction to the Bootstrap", 1993; J. Hanley, A. Lippman-Hand,
    "If nothing goes wrong, is everything all right?", JAMA 249 (1983)).
    """
    draws = np.random.default_rng(SEED)
    count = len(differences)
    means = [differences[draws.integers(0, count, count)].mean() for _ in range(RESAMPLES)]
    return max(float(np.quantile(means, 0.95)), 3 * spread / count)


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
        mcnemar(wrong, right),
    )


def compare_values(reference: Array, candidate: Array) -> Paired:
    """For regression: the drop is the root mean square error against torch's outputs, over their spread."""
    spread = float(reference.std()) or 1.0
    errors = ((candidate - reference) / spread).reshape(len(reference), -1) ** 2
    per_row = errors.mean(axis=-1)
    drop = math.sqrt(float(per_row.mean()))
    bound = bootstrap_bound(per_row, float(per_row.max(initial=0)))
    return Paired(len(reference), 1 - drop, 1.0, drop, math.sqrt(bound), float(np.mean(per_row > 0)))


def compare_embeddings(reference: Array, candidate: Array) -> Paired:
    """The drop is 1 less the mean cosine with torch's vectors; a flip is a row with another nearest neighbour."""
    left, right = (_unit(one.reshape(len(one), -1)) for one in (reference, candidate))
    drops = 1 - (left * right).sum(axis=-1)
    flips = float(np.mean(_nearest(left) != _nearest(right)))
    drop, bound = float(drops.mean()), bootstrap_bound(drops, float(drops.max(initial=0)))
    return Paired(len(reference), 1 - drop, 1.0, drop, bound, flips)


def compare_scores(reference: Array, candidate: Array) -> Paired:
    """For a metric of the user's own: scores a row, higher is better, shape (rows,); the drop is of their mean."""
    drops = reference - candidate
    spread = float(np.ptp(reference)) or 1.0
    return Paired(
        len(reference),
        float(candidate.mean()),
        float(reference.mean()),
        float(drops.mean()),
        bootstrap_bound(drops, spread),
        float(np.mean(drops != 0)),
    )


def _unit(vectors: Array) -> Array:
    return np.asarray(vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-12))


def _nearest(vectors: Array) -> Array:
    some = vectors[:NEIGHBOURS]
    likeness = some @ some.T
    np.fill_diagonal(likeness, -2)
    return np.asarray(likeness.argmax(axis=-1))
