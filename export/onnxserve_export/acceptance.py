"""Whether a candidate's outputs are close enough to torch's, by the definition's task or metric and its budget."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from onnxserve.definition import Definition
from onnxserve.errors import DefinitionError

from .arrays import Array
from .flip_estimate import (
    expected_flips,
    expected_moves,
    likely_drop,
    likely_mean,
    likely_share,
    rows_needed,
    share_rows_needed,
)
from .paired_statistics import (
    PairedStatistics,
    compare_embeddings,
    compare_errors,
    compare_labels,
    compare_scores,
    over_budget,
    spread_of,
    value_errors,
    vector_errors,
)
from .significance_levels import FIRST_LEVEL
from .subset import Row
from .user_code import find_function

LOST = {"labels": "accuracy drop", "metric": "drop of the metric"}


class Acceptance:
    """Compares a candidate's outputs with torch's on one subset of the rows, by the definition's task and budget.

    `spread` is the scale of a regression's errors; by default that of torch's outputs on these rows.
    """

    def __init__(
        self, definition: Definition, rows: Iterable[Row], reference: Array, spread: float | None = None
    ) -> None:
        self.definition = definition
        self.reference = reference
        self.labels = [row.label for row in rows]
        self.task = "metric" if definition.quantise.metric else task_of(definition)
        self.budget = definition.quantise.max_accuracy_drop
        self.tolerance = definition.quantise.tolerance
        self.spread = spread or spread_of(reference)
        index = {label: number for number, label in enumerate(definition.labels)}
        # Indices of the rows' labels, shape (rows,).
        labelled = task_of(definition) == "labels"
        self.truth = np.array([index[str(label)] for label in self.labels]) if labelled else None
        self._reference_scores = self._scores(reference) if self.task == "metric" else None

    def compare(self, outputs: Array, level: float = FIRST_LEVEL) -> PairedStatistics:
        """Return the scores, the drop, and the drop's bound at `level`."""
        if self._reference_scores is not None:
            return compare_scores(self._reference_scores, self._scores(outputs), self._width, level)
        if self.truth is not None:
            return compare_labels(self.reference, outputs, self.truth, level)
        if self.task == "embedding":
            return compare_embeddings(self.reference, outputs, self.tolerance, level)
        return compare_errors(value_errors(self.reference, outputs, self.spread), self.tolerance, level)

    def damage(self, outputs: Array) -> float:
        """Return the root mean square error in spreads of torch's outputs: finer than labels, for ranking."""
        if not np.isfinite(outputs).all():
            return float("inf")
        return float(np.sqrt(np.mean(value_errors(self.reference, outputs, self.spread) ** 2)))

    def risk(self, outputs: Array) -> float:
        """Return the share of answers that is expected to change; for a metric, the damage."""
        if self.task == "labels":
            return expected_flips(self.reference, outputs)
        if self.task == "metric":
            return self.damage(outputs)
        return expected_moves(self._errors(outputs), self.tolerance)

    def likely_bound(self, outputs: Array, rows: int, chance: float, level: float = FIRST_LEVEL) -> float:
        """Return the bound of the drop that `rows` other rows keep with a probability of `chance`."""
        if self._reference_scores is not None:
            drops = self._reference_scores - self._scores(outputs)
            return likely_mean(drops, self._width, rows, level, chance)
        if self.task == "labels":
            return likely_drop(self.risk(outputs), rows, level, chance, self._sure_drop(outputs))
        return likely_share(self.risk(outputs), rows, level, chance)

    def verdict(self, paired: PairedStatistics) -> str:
        """Return why such a result may not serve, an empty text when it may."""
        lost = LOST.get(self.task, "rows that move beyond the tolerance")
        reason = over_budget(paired, self.budget, lost)
        if not reason or self.task == "metric" or paired.drop >= self.budget:
            return reason
        if self.task == "labels":
            needed = rows_needed(self.budget, paired.flips, paired.level)
        else:
            needed = share_rows_needed(self.budget, paired.drop, paired.level)
        return f"{reason}; about {needed} rows would be needed to certify it" if needed > paired.rows else reason

    def _sure_drop(self, outputs: Array) -> float:
        """Return the part of the drop on these rows that chance doesn't explain."""
        paired = self.compare(outputs)
        return max(0.0, paired.drop - 2 * float(np.sqrt(paired.flips / paired.rows)))

    def _errors(self, outputs: Array) -> Array:
        if self.task == "embedding":
            return vector_errors(self.reference, outputs)
        return value_errors(self.reference, outputs, self.spread)

    @property
    def _width(self) -> float:
        low, high = self.definition.quantise.metric_range
        return high - low

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
