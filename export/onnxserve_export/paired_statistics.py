"""Paired statistics of a candidate and torch on the same rows: the drop, its bound, and the share of flips."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from onnxserve.archive.deviation import ROUNDING

from .arrays import Array
from .binomial import share_bound
from .drop_bound import drop_bound
from .mean_bound import mean_bound
from .significance_levels import FIRST_LEVEL
from .typical_spread import usual_magnitudes, widest

CHUNK = 2**22  # values that are copied together
NEIGHBOURS = 2000  # rows among which the nearest is looked for


@dataclass(frozen=True)
class PairedStatistics:
    """Scores of both, the drop with its upper bound, and flips (changed answers), as shares of `rows`.

    A score is 1 for a right label; for other tasks docs/concepts/statistics.md says what it is. `level` is the chance
    that the bound lies below the truth. `p` is the probability of so many newly wrong labels were the candidate
    as good as torch; 1 for other tasks.
    """

    rows: int
    accuracy: float
    reference_accuracy: float
    drop: float
    bound: float
    flips: float
    p: float = 1.0
    level: float = FIRST_LEVEL
    # Of vectors and documents that labels rank: the mean nDCG, its drop, and the drop's bound.
    ranking: float | None = None
    ranking_drop: float = 0.0
    ranking_bound: float = 0.0

    @property
    def worst_bound(self) -> float:
        """The largest bound, which the budget limits."""
        return max(self.bound, self.ranking_bound)

    @property
    def worst_drop(self) -> float:
        """The largest loss on these rows."""
        return max(self.drop, self.ranking_drop)


def mcnemar(newly_wrong: int, newly_right: int) -> float:
    """Return the exact one-sided p: at least `newly_wrong` of the changed rows, were both ways as likely.

    Q. McNemar, "Note on the sampling error of the difference between correlated proportions
    or percentages", Psychometrika 12 (1947); the exact form is a sign test on changed rows.
    """
    changed = newly_wrong + newly_right
    tail = sum(math.comb(changed, count) for count in range(newly_wrong, changed + 1))
    return float(tail / 2**changed)


def describe_excess(paired: PairedStatistics, budget: float, lost: str = "accuracy drop") -> str:
    """Describe drop, bound and budget; empty when the bound keeps the budget. `lost` names what is counted."""
    if paired.worst_bound <= budget:
        return ""
    drop, bound = paired.drop, paired.bound
    if bound <= budget:
        lost, drop, bound = "drop of the nDCG", paired.ranking_drop, paired.ranking_bound
    sure = f"{100 * (1 - paired.level):.5g} %"
    return f"{lost} {drop:z.2%}, {sure} bound {bound:z.2%}, {budget:.2%} is allowed"


def count_changed_labels(reference: Array, candidate: Array, truth: Array) -> tuple[int, int]:
    """Count newly wrong and newly right labels; outputs have shape (rows, labels), `truth` as in `compare_labels`."""
    before, after = reference.argmax(axis=-1) == truth, candidate.argmax(axis=-1) == truth
    return int((before & ~after).sum()), int((~before & after).sum())


def compare_labels(reference: Array, candidate: Array, truth: Array, level: float = FIRST_LEVEL) -> PairedStatistics:
    """Compare outputs of shape (rows, labels) by their labels; `truth` are the labels' indices, shape (rows,)."""
    reference_labels, candidate_labels = reference.argmax(axis=-1), candidate.argmax(axis=-1)
    wrong, right = count_changed_labels(reference, candidate, truth)
    rows = len(truth)
    return PairedStatistics(
        rows,
        float((candidate_labels == truth).mean()),
        float((reference_labels == truth).mean()),
        (wrong - right) / rows,
        drop_bound(wrong, right, rows, level),
        float((reference_labels != candidate_labels).mean()),
        mcnemar(wrong, right),
        level,
    )


def spread_of(reference: Array) -> float:
    """Return one scale for the errors of all outputs: the root mean square of their standard deviations over rows.

    A few rows with huge outputs don't widen it.
    """
    deviations, magnitudes = _columns(reference)
    magnitude = float(magnitudes.max(initial=0)) or 1.0
    # In units of the magnitude no square overflows. Outputs that never change have their size as scale.
    return magnitude * (float(np.sqrt(np.mean((deviations / magnitude) ** 2))) or 1.0)


def value_spreads(reference: Array) -> Array:
    """Return the scale of each value's errors, shape (values,); `reference` has shape (rows, values).

    Each scale has its value's unit. It is the standard deviation over rows, or a part of most rows' magnitude where the
    value hardly changes; a few huge rows don't widen it. A value that never changes has its size as scale.
    """
    deviations, magnitudes = _columns(reference)
    largest = float(magnitudes.max(initial=0))
    nothing = ROUNDING * largest or 1.0  # of a value that is always 0
    constant = np.where(magnitudes > 0, magnitudes, nothing)
    floors = ROUNDING * usual_magnitudes(reference)
    return np.where(deviations > 0, np.maximum(deviations, floors), constant)


def _columns(reference: Array) -> tuple[Array, Array]:
    """Return standard deviation and largest magnitude of each value of a row, both of shape (values,)."""
    columns = reference.reshape(len(reference), -1)
    magnitudes = np.abs(columns).max(axis=0, initial=0).astype(np.float64)
    if not columns.size:
        return np.zeros(len(magnitudes) or 1), np.zeros(len(magnitudes) or 1)
    units, step = np.where(magnitudes > 0, magnitudes, 1.0), max(1, CHUNK // len(columns))
    parts = [slice(start, start + step) for start in range(0, columns.shape[1], step)]
    each = np.concatenate([(columns[:, part] / units[part]).std(axis=0) for part in parts])
    return np.minimum(each * units, widest(columns)), magnitudes


def value_errors(reference: Array, candidate: Array, spreads: Array | float) -> Array:
    """Return the root mean square error of each row's outputs against torch's, over `spreads`, shape (rows,)."""
    errors = (candidate.astype(np.float64) - reference).reshape(len(reference), -1) / spreads
    return np.asarray(np.sqrt((errors**2).mean(axis=-1)))


def target_errors(reference: Array, candidate: Array, spreads: Array) -> Array:
    """Return errors against torch's values over each one's spread, shape (rows, values).

    With one spread for several values it is their root mean square, shape (rows, 1).
    """
    if len(spreads) == 1:
        return value_errors(reference, candidate, spreads)[:, None]
    return np.asarray(np.abs(candidate.astype(np.float64) - reference).reshape(len(reference), -1) / spreads)


def vector_errors(reference: Array, candidate: Array) -> Array:
    """Return 1 less each row's cosine with torch's vector, shape (rows,); 0 for two vectors without a direction."""
    left, right = (_unit(vectors) for vectors in (reference, candidate))
    without = ~(left.any(axis=-1) | right.any(axis=-1))
    return np.asarray(np.where(without, 0.0, 1 - (left * right).sum(axis=-1)))


def distance_errors(reference: Array, candidate: Array) -> Array:
    """Return half the squared distance from torch's vector over that one's squared length, shape (rows,).

    Of vectors of one length it is 1 less their cosine; another length counts too. 0 for two vectors of zeros.
    """
    left, right = (vectors.reshape(len(vectors), -1).astype(np.float64) for vectors in (reference, candidate))
    squares, lengths = ((array**2).sum(axis=-1) for array in (right - left, left))
    apart = np.where(squares > 0, np.inf, 0.0)  # from a vector of zeros
    return np.asarray(np.divide(squares, 2 * lengths, out=apart, where=lengths > 0))


def compare_errors(
    errors: Array, tolerance: float, level: float = FIRST_LEVEL, flips: float | None = None
) -> PairedStatistics:
    """Compare answers that aren't right or wrong: the drop is the share of rows with an error above `tolerance`.

    `errors` have shape (rows,). A share has an exact bound whatever the errors' distribution; a mean error has none,
    since rows that weren't seen may err by any amount.
    """
    rows, moved = len(errors), int((errors > tolerance).sum())
    share = moved / rows
    bound = share_bound(moved, rows, level)
    return PairedStatistics(rows, 1 - share, 1.0, share, bound, share if flips is None else flips, level=level)


def nearest_differ(reference: Array, candidate: Array) -> Array:
    """Return whether each of the first NEIGHBOURS rows has another nearest neighbour among them, shape (rows,)."""
    return np.asarray(_nearest(_unit(reference)) != _nearest(_unit(candidate)))


def compare_scores(reference: Array, candidate: Array, width: float, level: float = FIRST_LEVEL) -> PairedStatistics:
    """Compare by a user's own metric: a score per row, shape (rows,), higher is better; the drop is of their mean.

    `width` is that of the range that scores may have. It bounds the effect of rows that weren't seen.
    """
    drops = reference - candidate
    return PairedStatistics(
        len(reference),
        float(candidate.mean()),
        float(reference.mean()),
        float(drops.mean()),
        width * mean_bound(drops / width, level),
        float(np.mean(drops != 0)),
        level=level,
    )


def _unit(outputs: Array) -> Array:
    vectors = outputs.reshape(len(outputs), -1).astype(np.float64)
    return np.asarray(vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-12))


def _nearest(vectors: Array) -> Array:
    some = vectors[:NEIGHBOURS]
    likeness = some @ some.T
    np.fill_diagonal(likeness, -2)
    return np.asarray(likeness.argmax(axis=-1))
