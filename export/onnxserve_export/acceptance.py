"""Whether a candidate's outputs are close enough to its source's, by the definition's task or metric and its budget."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from onnxserve.definition import Definition
from onnxserve.errors import DefinitionError
from onnxserve_handlers.outputs import Outputs
from onnxserve_handlers.registry import task, task_for
from onnxserve_handlers.tasks import TaskHooks

from .arrays import Array, main
from .criterion import ACCURACY, FORMS, LABELS, METRIC, OWN, Claim, Criterion
from .flip_estimate import mean_rows_needed, rows_needed, share_rows_needed
from .metric import Metric
from .paired_statistics import PairedStatistics, describe_excess, spread_of, value_spreads
from .rankings import by_query, rankings
from .records import Split
from .served_class import overrides
from .significance_levels import FIRST_LEVEL
from .subset import Row, Subset

VALUES = 2  # axes of an output with a list of values for each row


@dataclass(frozen=True)
class Basis:
    """On what rows are judged: their labels, and the hooks of the class that serves, by default the task's.

    With `ranks`, labels are judged by the rankings that rows make; with `queries`, rows of one query together.
    """

    labelled: bool = True
    hooks: TaskHooks | None = None
    ranks: bool = False
    queries: bool = False


def basis_of(split: Split, hooks: TaskHooks | None) -> Basis:
    """Return on what the rows of a split are judged."""
    return Basis(split.labelled, hooks, split.ranks, split.queries is not None)


class Acceptance:
    """Compares a candidate's outputs with its source's on one subset of the rows, by the definition's task and budget.

    `spreads` are the scales of a regression's errors; by default those of the source's outputs on these rows. The claim
    is agreement with the source unless the rows are labelled and the definition limits the drop of accuracy. `origins`
    are the input kind's. `rows` are read several times, one at a time, since they may be large.
    """

    def __init__(
        self,
        definition: Definition,
        rows: Collection[Row] | Subset,
        reference: Outputs,
        spreads: Array | None = None,
        *,
        basis: Basis | None = None,
        origins: Sequence[Any] | None = None,
    ) -> None:
        basis = basis or Basis()
        self.reference = reference
        self.budget = budget_of(definition)
        hooks = basis.hooks or task_for(definition.output, definition.input)
        labels = [row.label for row in rows]
        metric = Metric(definition, labels) if definition.quantise.metric else None
        claim = claim_of(definition, basis)
        form = METRIC if metric else form_of(definition, claim, hooks)
        self.criterion = Criterion(
            form,
            claim,
            hooks,
            labels,
            definition.quantise.tolerance,
            error_spreads(definition, main(reference)) if spreads is None else spreads,
            origins,
            metric,
            metric.width if metric else 1.0,
            rankings(rows, hooks, form) if basis.ranks else (),
            by_query(hooks.query_of(row.value) for row in rows) if basis.queries else (),
        )
        self.damage = self.criterion.damage_to(reference)
        self.loss = self.criterion.loss(reference)

    def compare(self, outputs: Outputs, level: float = FIRST_LEVEL) -> PairedStatistics:
        """Return the scores, the drop, and the drop's bound at `level`."""
        return self.loss.compare(outputs, level)

    def risk(self, outputs: Outputs) -> float:
        """Return the share of answers that is expected to change; for a metric, the damage."""
        return self.loss.risk(outputs)

    def likely_bound(self, outputs: Outputs, rows: int, chance: float, level: float = FIRST_LEVEL) -> float:
        """Return the bound of the drop that `rows` other rows keep with a probability of `chance`."""
        return self.loss.likely_bound(outputs, rows, chance, level)

    def verdict(self, paired: PairedStatistics) -> str:
        """Return why such a result may not serve, an empty text when it may."""
        reason = describe_excess(paired, self.budget, self.loss.lost)
        if not reason or paired.worst_drop >= self.budget:
            return reason
        needed = self.loss.rows_needed(self.budget, paired, paired.level)
        return f"{reason}; about {needed} rows would be needed to certify it" if needed > paired.rows else reason


def task_of(definition: Definition) -> str:
    """Return what a right answer is: `labels`, `regression`, `embedding`, or the name of a task with its own measure.

    `auto` means `labels` for classification, else the task. DefinitionError if the task is `labels` and the definition
    has none.
    """
    form = definition.quantise.task
    if form != "auto":
        if form == LABELS and not definition.labels:
            raise DefinitionError("task = 'labels' needs `labels`", where="quantise.task")
        return form
    return {"classification": LABELS, "": "regression"}.get(definition.output.task, definition.output.task)


def form_of(definition: Definition, claim: Claim, hooks: TaskHooks | None) -> str:
    """Return what decides a claim: OWN where a handler of the user's own measures it, else what `task_of` says.

    `quantise.task` takes precedence, since somebody wrote it down.
    """
    hook = "quality" if claim == ACCURACY else "agreement"
    own = hooks is not None and definition.quantise.task == "auto" and overrides(hooks, hook)
    return OWN if own else task_of(definition)


def has_own_units(definition: Definition) -> bool:
    """Return whether the values of a row may have different units, so that each has its own scale."""
    return task_of(definition) in {"regression", "raw"}


def error_spreads(definition: Definition, outputs: Array, *, free: bool = False) -> Array:
    """Return the scales of errors by the source's outputs: one for each value whose unit is its own, else one for all.

    There is one for all too where rows have more axes, or, as `free` says, different numbers of values.
    """
    each = has_own_units(definition) and outputs.ndim == VALUES and not free
    return value_spreads(outputs) if each else np.array([spread_of(outputs)])


def claim_of(definition: Definition, basis: Basis) -> Claim:
    """Return what a certificate is about: the accuracy on labelled rows, or the agreement with the source."""
    quantise, form = definition.quantise, form_of(definition, ACCURACY, basis.hooks)
    judged = form in (LABELS, OWN) or (form not in FORMS and bool((basis.hooks or task(form)).quality_name))
    scored = bool(quantise.metric) or (judged and basis.labelled)
    return "accuracy" if scored and (quantise.max_disagreement is None or quantise.metric) else "agreement"


def budget_of(definition: Definition) -> float:
    """Return the budget: `max_disagreement` where it is set, else `max_accuracy_drop`.

    Accuracy can't drop by more than the share of answers that differ, so the latter's budget holds for agreement too.
    """
    quantise = definition.quantise
    if quantise.max_disagreement is None or quantise.metric:
        return quantise.max_accuracy_drop
    return quantise.max_disagreement


def least_rows(definition: Definition, level: float, basis: Basis) -> int:
    """Return the certify rows that the budget wants if nothing is lost; 0 for a budget that no number certifies.

    Where rankings are judged it is their number, but rows for vectors, of which every second one makes a ranking.
    """
    budget, (low, high) = budget_of(definition), definition.quantise.metric_range
    if definition.quantise.metric:
        return mean_rows_needed(budget / (high - low), level)
    claim = claim_of(definition, basis)
    form = form_of(definition, claim, basis.hooks)
    if form not in FORMS or basis.queries:
        return mean_rows_needed(budget, level)
    if form == LABELS and claim == ACCURACY:
        return rows_needed(budget, 0.0, level)
    moved = share_rows_needed(budget, 0.0, level)
    return max(moved, 2 * mean_rows_needed(budget, level)) if basis.ranks else moved
