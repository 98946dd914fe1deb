"""What a candidate's outputs are worth beside torch's, by the definition's task or metric."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from onnxserve.errors import DefinitionError
from onnxserve.spec import Definition

from .paired import Paired, compare_embeddings, compare_labels, compare_scores, compare_values, over_budget, rows_needed
from .share import Row
from .user_code import find_function
from .work import Array


class Judge:
    """Compares outputs on one share; what torch gave there is fixed."""

    def __init__(self, definition: Definition, rows: Iterable[Row], reference: Array) -> None:
        self.definition = definition
        self.reference = reference
        self.labels = [row.label for row in rows]
        self.task = task_of(definition)
        self.budget = definition.quantise.max_accuracy_drop
        index = {label: number for number, label in enumerate(definition.labels)}
        # Indices of the rows' labels, shape (rows,).
        self.truth = np.array([index[str(one)] for one in self.labels]) if self.task == "labels" else None
        self._reference_scores = self._scores(reference) if definition.quantise.metric else None
        self.counts_labels = self.task == "labels" and not definition.quantise.metric

    def compare(self, outputs: Array) -> Paired:
        """Score, drop, bound."""
        if self._reference_scores is not None:
            return compare_scores(self._reference_scores, self._scores(outputs))
        if self.truth is not None:
            return compare_labels(self.reference, outputs, self.truth)
        if self.task == "embedding":
            return compare_embeddings(self.reference, outputs)
        return compare_values(self.reference, outputs)

    def damage(self, outputs: Array) -> float:
        """Root mean square error against torch over the spread of its outputs: finer than labels, for ranking."""
        return compare_values(self.reference, outputs).drop if np.isfinite(outputs).all() else float("inf")

    def verdict(self, paired: Paired) -> str:
        """Why such a result may not serve, empty when it may."""
        found = over_budget(paired, self.budget)
        needed = rows_needed(self.budget, paired.flips)
        short = paired.drop < self.budget and needed > paired.rows
        return f"{found}; {needed} rows would be needed to certify it" if found and short else found

    def _scores(self, outputs: Array) -> Array:
        reference = self.definition.quantise.metric
        function = find_function(reference, self.definition.folder)
        scores: Any = np.asarray(function(outputs, self.labels), dtype=np.float64)
        if scores.shape != (len(outputs),):
            raise DefinitionError(
                f"{reference} gives shape {scores.shape} for {len(outputs)} rows",
                where="quantise.metric",
                fix="give one score a row, higher is better",
            )
        return np.asarray(scores)


def task_of(definition: Definition) -> str:
    """`auto` means labels where there are any, else regression."""
    task = definition.quantise.task
    if task != "auto":
        if task == "labels" and not definition.labels:
            raise DefinitionError("task = 'labels' needs `labels`", where="quantise.task")
        return task
    return "labels" if definition.labels else "regression"
