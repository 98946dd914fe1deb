"""Whether a candidate's outputs are close enough to its source's, by the definition's task or metric and its budget."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal

import numpy as np

from onnxserve.definition import Definition
from onnxserve.errors import DefinitionError

from .arrays import Array
from .flip_estimate import expected_flips, expected_moves, mean_rows_needed, rows_needed, share_rows_needed
from .loss import LabelLoss, Loss, MovedLoss, ScoreLoss
from .paired_statistics import (
    PairedStatistics,
    nearest_differ,
    over_budget,
    spread_of,
    value_errors,
    vector_errors,
)
from .significance_levels import FIRST_LEVEL
from .subset import Row
from .user_code import find_function

ACCURACY, AGREEMENT = "accuracy", "agreement"
Claim = Literal["accuracy", "agreement"]


class Acceptance:
    """Compares a candidate's outputs with its source's on one subset of the rows, by the definition's task and budget.

    `spread` is the scale of a regression's errors; by default that of the source's outputs on these rows. The claim is
    agreement with the source unless the rows are labelled and the definition limits the drop of accuracy.
    """

    def __init__(
        self,
        definition: Definition,
        rows: Iterable[Row],
        reference: Array,
        spread: float | None = None,
        *,
        labelled: bool = True,
    ) -> None:
        self.definition = definition
        self.reference = reference
        self.labels = [row.label for row in rows]
        self.task = "metric" if definition.quantise.metric else task_of(definition)
        self.claim = claim_of(definition, labelled=labelled)
        self.budget = budget_of(definition)
        self.tolerance = definition.quantise.tolerance
        self.spread = spread or spread_of(reference)
        index = {label: number for number, label in enumerate(definition.labels)}
        known = task_of(definition) == "labels" and labelled
        # Indices of the rows' labels, shape (rows,).
        self.truth = np.array([index[str(label)] for label in self.labels], np.intp) if known else None
        self.loss = self._loss()

    def compare(self, outputs: Array, level: float = FIRST_LEVEL) -> PairedStatistics:
        """Return the scores, the drop, and the drop's bound at `level`."""
        return self.loss.compare(outputs, level)

    def damage(self, outputs: Array) -> float:
        """Return the root mean square error in spreads of the source's outputs: finer than labels, for ranking."""
        if not np.isfinite(outputs).all():
            return float("inf")
        return float(np.sqrt(np.mean(value_errors(self.reference, outputs, self.spread) ** 2)))

    def risk(self, outputs: Array) -> float:
        """Return the share of answers that is expected to change; for a metric, the damage."""
        return self.loss.risk(outputs)

    def likely_bound(self, outputs: Array, rows: int, chance: float, level: float = FIRST_LEVEL) -> float:
        """Return the bound of the drop that `rows` other rows keep with a probability of `chance`."""
        return self.loss.likely_bound(outputs, rows, chance, level)

    def verdict(self, paired: PairedStatistics) -> str:
        """Return why such a result may not serve, an empty text when it may."""
        reason = over_budget(paired, self.budget, self.loss.lost)
        if not reason or paired.drop >= self.budget:
            return reason
        needed = self.loss.rows_needed(self.budget, paired, paired.level)
        return f"{reason}; about {needed} rows would be needed to certify it" if needed > paired.rows else reason

    def _loss(self) -> Loss:
        reference, tolerance = self.reference, self.tolerance
        if self.task == "metric":
            low, high = self.definition.quantise.metric_range
            return ScoreLoss(reference, self._scores, high - low, self.damage)
        if self.task == "labels":
            if self.claim == ACCURACY and self.truth is not None:
                return LabelLoss(reference, self.truth)
            return MovedLoss(self._other_labels, 0.5, self._expected_flips, "answers that differ", None)
        embedding = self.task == "embedding"
        return MovedLoss(
            self._turns if embedding else self._errors,
            tolerance,
            self._expected_turns if embedding else self._expected_moves,
            "rows that move beyond the tolerance",
            self._other_neighbours if embedding else None,
        )

    def _other_labels(self, outputs: Array) -> Array:
        return np.asarray(self.reference.argmax(axis=-1) != outputs.argmax(axis=-1), np.float64)

    def _expected_flips(self, outputs: Array) -> float:
        return expected_flips(self.reference, outputs)

    def _errors(self, outputs: Array) -> Array:
        return value_errors(self.reference, outputs, self.spread)

    def _expected_moves(self, outputs: Array) -> float:
        return expected_moves(self._errors(outputs), self.tolerance)

    def _turns(self, outputs: Array) -> Array:
        return vector_errors(self.reference, outputs)

    def _expected_turns(self, outputs: Array) -> float:
        return expected_moves(self._turns(outputs), self.tolerance)

    def _other_neighbours(self, outputs: Array) -> Array:
        return nearest_differ(self.reference, outputs)

    def _scores(self, outputs: Array) -> Array:
        reference, (low, high) = self.definition.quantise.metric, self.definition.quantise.metric_range
        function = find_function(reference, self.definition.folder)
        scores: Any = np.asarray(function(outputs, self.labels), dtype=np.float64)
        if scores.shape != (len(outputs),):
            raise DefinitionError(
                f"{reference} gives shape {scores.shape} for {len(outputs)} rows",
                where="quantise.metric",
                fix="give one score a row, higher is better",
            )
        beyond = np.flatnonzero(~((scores >= low) & (scores <= high)))
        if len(beyond):
            raise DefinitionError(
                f"{reference} gives {scores[beyond[0]]:g} for row {beyond[0]}, outside {low:g} to {high:g}",
                where="quantise.metric_range",
                fix="set the range that scores may have, or clip them: without one no number of rows bounds a mean",
            )
        return np.asarray(scores)


def task_of(definition: Definition) -> str:
    """Return what a right answer is; `auto` means `labels` for classification, `embedding`, else `regression`.

    DefinitionError if the task is `labels` and the definition has none.
    """
    task = definition.quantise.task
    if task != "auto":
        if task == "labels" and not definition.labels:
            raise DefinitionError("task = 'labels' needs `labels`", where="quantise.task")
        return task
    return {"classification": "labels", "embedding": "embedding"}.get(definition.output.task, "regression")


def claim_of(definition: Definition, *, labelled: bool) -> Claim:
    """Return what a certificate is about: the accuracy on labelled rows, or the agreement with the source."""
    quantise = definition.quantise
    scored = bool(quantise.metric) or (task_of(definition) == "labels" and labelled)
    return "accuracy" if scored and (quantise.max_disagreement is None or quantise.metric) else "agreement"


def budget_of(definition: Definition) -> float:
    """Return the budget: `max_disagreement` where it is set, else `max_accuracy_drop`.

    Accuracy can't drop by more than the share of answers that differ, so the latter's budget holds for agreement too.
    """
    quantise = definition.quantise
    if quantise.max_disagreement is None or quantise.metric:
        return quantise.max_accuracy_drop
    return quantise.max_disagreement


def least_rows(definition: Definition, level: float, *, labelled: bool) -> int:
    """Return the certify rows that the budget wants if nothing is lost; 0 for a budget that no number certifies."""
    budget, (low, high) = budget_of(definition), definition.quantise.metric_range
    if definition.quantise.metric:
        return mean_rows_needed(budget / (high - low), level)
    if task_of(definition) == "labels" and claim_of(definition, labelled=labelled) == ACCURACY:
        return rows_needed(budget, 0.0, level)
    return share_rows_needed(budget, 0.0, level)
