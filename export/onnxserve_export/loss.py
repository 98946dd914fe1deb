"""What a candidate loses against its source on the same rows: by labels, by rows that move, or by a mean score.

Each kind has its own exact bound; docs/concepts/statistics.md says what it claims.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Protocol

import numpy as np

from onnxserve_handlers.outputs import Outputs

from .arrays import Array, main
from .flip_estimate import (
    expected_flips,
    likely_drop,
    likely_mean,
    likely_share,
    mean_rows_needed,
    rows_needed,
    share_rows_needed,
)
from .paired_statistics import PairedStatistics, compare_errors, compare_labels, compare_scores

Scores = Callable[[Outputs], Array]


class Loss(Protocol):
    """One kind of loss; `lost` names it in messages. Outputs are by name, of shape (rows, ...)."""

    lost: str

    def compare(self, outputs: Outputs, level: float) -> PairedStatistics:
        """Return the scores, the loss, and its bound at `level`."""
        ...

    def risk(self, outputs: Outputs) -> float:
        """Return the share of answers that is expected to change."""
        ...

    def likely_bound(self, outputs: Outputs, rows: int, chance: float, level: float) -> float:
        """Return the bound that `rows` other rows keep with a probability of `chance`."""
        ...

    def rows_needed(self, budget: float, paired: PairedStatistics | None, level: float) -> int:
        """Return the certify rows that such a result wants, None for one without a loss; 0 if no number is enough."""
        ...


class LabelLoss:
    """The drop of accuracy: labels that get wrong less those that get right; the rows are labelled."""

    lost = "accuracy drop"

    def __init__(self, reference: Outputs, truth: Array) -> None:
        self._reference, self._truth = main(reference), truth

    def row_scores(self, outputs: Outputs) -> Array:
        """Return 1 for each right label, else 0."""
        return np.asarray(main(outputs).argmax(axis=-1) == self._truth, np.float64)

    def compare(self, outputs: Outputs, level: float) -> PairedStatistics:
        """Compare labels with the truth."""
        return compare_labels(self._reference, main(outputs), self._truth, level)

    def risk(self, outputs: Outputs) -> float:
        """Return the share of labels that is expected to change."""
        return expected_flips(self._reference, main(outputs))

    def likely_bound(self, outputs: Outputs, rows: int, chance: float, level: float) -> float:
        """Take the part of the drop that chance doesn't explain for its true size."""
        paired = self.compare(outputs, level)
        sure = max(0.0, paired.drop - 2 * float(np.sqrt(paired.flips / paired.rows)))
        return likely_drop(self.risk(outputs), rows, level, chance, sure)

    def rows_needed(self, budget: float, paired: PairedStatistics | None, level: float) -> int:
        """Return the rows for as many changed labels, as often right as wrong."""
        return rows_needed(budget, paired.flips if paired else 0.0, level)


class MovedLoss:
    """The share of rows whose answer moves: another label, or an error above the tolerance.

    `errors` gives one error a row, `expected` the share that is expected to move; both take the candidate's outputs.
    """

    def __init__(
        self, errors: Scores, tolerance: float, expected: Callable[[Outputs], float], lost: str, flips: Scores | None
    ) -> None:
        self._errors, self._tolerance, self._expected, self._flips = errors, tolerance, expected, flips
        self.lost = lost

    def row_scores(self, outputs: Outputs) -> Array:
        """Return 0 for each row that moves, else 1."""
        return np.asarray(self._errors(outputs) <= self._tolerance, np.float64)

    def compare(self, outputs: Outputs, level: float) -> PairedStatistics:
        """Count the rows that move."""
        flips = None if self._flips is None else float(np.mean(self._flips(outputs)))
        return compare_errors(self._errors(outputs), self._tolerance, level, flips)

    def risk(self, outputs: Outputs) -> float:
        """Return the share of rows that is expected to move."""
        return self._expected(outputs)

    def likely_bound(self, outputs: Outputs, rows: int, chance: float, level: float) -> float:
        """Take the expected share for the true one."""
        return likely_share(self.risk(outputs), rows, level, chance)

    def rows_needed(self, budget: float, paired: PairedStatistics | None, level: float) -> int:
        """Return the rows for the same share of rows that move."""
        return share_rows_needed(budget, paired.drop if paired else 0.0, level)


class BothLosses:
    """What moves and the order of rankings, each of which must keep the budget at the same level.

    A certificate of `rows_each` rows, or queries, has one ranking.

    Accepting where both tests accept is wrong no more often than one of them is: R. Berger, "Multiparameter hypothesis
    testing and acceptance sampling", Technometrics 24 (1982).
    """

    def __init__(self, moved: Loss, ranking: Loss, rows_each: int) -> None:
        self._losses, self._rows_each = (moved, ranking), rows_each
        self.lost = moved.lost

    def compare(self, outputs: Outputs, level: float) -> PairedStatistics:
        """Return what moves, with the ranking's drop and bound."""
        moved, ranking = (loss.compare(outputs, level) for loss in self._losses)
        return replace(moved, ranking=ranking.accuracy, ranking_drop=ranking.drop, ranking_bound=ranking.bound)

    def risk(self, outputs: Outputs) -> float:
        """Return the share of rows that is expected to move."""
        return self._losses[0].risk(outputs)

    def likely_bound(self, outputs: Outputs, rows: int, chance: float, level: float) -> float:
        """Return the larger bound."""
        first, second = self._losses
        bounds = (
            first.likely_bound(outputs, rows, chance, level),
            second.likely_bound(outputs, rows // self._rows_each, chance, level),
        )
        return max(bounds)

    def rows_needed(self, budget: float, paired: PairedStatistics | None, level: float) -> int:
        """Return the rows that both want; 0 if no number is enough or nobody can say."""
        first, second = (loss.rows_needed(budget, paired, level) for loss in self._losses)
        return max(first, self._rows_each * second) if first else 0


class ScoreLoss:
    """The drop of a mean score, one score a row within a range of `width`.

    `scores` takes the outputs of either model; a task's agreement with the source is 1 for the source itself.
    """

    def __init__(
        self, reference: Outputs, scores: Scores, width: float, damage: Callable[[Outputs], float], lost: str
    ) -> None:
        self._scores, self._width, self._damage, self.lost = scores, width, damage, lost
        self._reference_scores = scores(reference)

    def compare(self, outputs: Outputs, level: float) -> PairedStatistics:
        """Compare the scores row by row."""
        return compare_scores(self._reference_scores, self._scores(outputs), self._width, level)

    def risk(self, outputs: Outputs) -> float:
        """Return the damage, since scores say little of how many answers change."""
        return self._damage(outputs)

    def likely_bound(self, outputs: Outputs, rows: int, chance: float, level: float) -> float:
        """Take the drops of these rows for those of others."""
        return likely_mean(self._reference_scores - self._scores(outputs), self._width, rows, level, chance)

    def rows_needed(self, budget: float, paired: PairedStatistics | None, level: float) -> int:
        """Return the rows for scores that don't drop at all; how many others want depends on each score."""
        return mean_rows_needed(budget / self._width, level) if paired is None else 0
