"""What the rows allow, said before any long work: which variants can be certified, and how many rows would do."""

from __future__ import annotations

import math

from onnxserve.definition import Definition
from onnxserve.errors import CheckFailed
from onnxserve_handlers.tasks import TaskHooks

from .acceptance import basis_of, budget_of, claim_of, least_rows
from .certify_log import CertifyLog
from .criterion import ACCURACY
from .export_state import ExportState
from .options import ExportOptions
from .records import Plan, Split
from .significance_levels import FIRST_LEVEL, level_after
from .subset import FRACTIONS
from .variants import FP32, competing_variants

SURE = 1.645  # standard deviations: the split is random, and leaves enough certify rows in 95 of 100 cases
DRAFT_ROWS = 500  # that a draft reads


def rows_in_all(certify: int) -> int:
    """Return how many rows leave at least `certify` certify rows after the split, with a probability of 95 %."""
    share = FRACTIONS["certify"]
    rest = SURE * math.sqrt(1 - share)
    # The root of: share n - SURE sqrt(share (1 - share) n) = certify, for sqrt(share n).
    root = (rest + math.sqrt(rest**2 + 4 * certify)) / 2
    return math.ceil(root**2 / share) if certify else 0


def make_plan(definition: Definition, split: Split, options: ExportOptions, hooks: TaskHooks | None = None) -> Plan:
    """Decide which variants this export makes.

    Refusals on the same rows don't count here, so that a repeated export makes the same archive.
    """
    needed = least_rows(definition, FIRST_LEVEL, basis_of(split, hooks))
    certify, wanted = split.units("certify"), competing_variants(definition, options)
    measurable = bool(certify and len(split.calibrate) and split.units("select"))
    enough = bool(needed) and certify >= needed and measurable
    if options.draft:
        return Plan(certify, needed, rows_in_all(needed), (FP32,), {}, enough)
    # Without a certificate fp32 would serve before any other.
    uncertified = options.unproven and measurable and bool(needed) and FP32 not in wanted
    kept = tuple(variant for variant in wanted if variant == FP32 or enough or uncertified)
    why = f"{certify} certify {split.unit} can't certify it" if needed else "no number of rows certifies a budget of 0"
    return Plan(certify, needed, rows_in_all(needed), kept, {v: why for v in wanted if v not in kept}, enough)


def describe_plan(plan: Plan, definition: Definition, split: Split, hooks: TaskHooks | None = None) -> list[str]:
    """Return the lines that say how many rows the budget wants, how many there are, and what they allow."""
    parts = ", ".join(f"{name} {len(subset)}" for name, subset in split.subsets.items())
    lines = [f"{split.total} rows: {parts}" if split.total else "there are no rows"]
    if 0 < split.unlabelled < split.total:
        lines.append(f"{split.unlabelled} rows have no label, so agreement with the source is certified, not accuracy")
    if split.ranks and hooks:
        what = "queries whose documents differ in relevance" if split.queries else "every second row"
        lines.append(f"labels are judged by the {hooks.ranking_name} of {what}")
        if split.queries:
            lines.append("scores of documents are held to the source's by the same budget")
    elif split.queries:
        lines.append("rows of one query are judged together, by the mean of their scores")
    lines.append(_wants(plan, definition, split, hooks))
    if FP32 in plan.variants:
        lines.append("fp32 needs none of them if it answers every row as the source does")
    if plan.left:
        lines.append(f"left out: {', '.join(plan.left)}, since {next(iter(plan.left.values()))}")
    return lines


def _wants(plan: Plan, definition: Definition, split: Split, hooks: TaskHooks | None) -> str:
    budget, unit = budget_of(definition), split.unit
    accuracy = claim_of(definition, basis_of(split, hooks)) == ACCURACY
    field = "max_accuracy_drop" if accuracy or definition.quantise.max_disagreement is None else "max_disagreement"
    if not plan.needed:
        return f"quantise.{field} = {budget:g}: no number of rows certifies that nothing is ever lost"
    what = "labelled rows" if accuracy and split.queries is None else unit
    of_all = f" of {split.total}" if split.queries is None else ""
    there = f"{plan.certify}{of_all}" if split.total else "none"
    return (
        f"quantise.{field} = {budget:g} wants {plan.needed} certify {unit}, about {plan.wanted} {what} in all, for a "
        f"variant that changes no answer, and more for others; there are {there}"
    )


def check_plan(state: ExportState) -> None:
    """Raise CheckFailed if this export can't make an archive from these rows."""
    plan, split = state.plan, state.split
    if not plan.variants:
        unmeasured = state.options.unproven and plan.needed
        what = "a variant besides fp32 needs rows to be measured on" if unmeasured else "no variant can be certified"
        certify = f"{plan.certify} of them" if split.queries is None else f"{plan.certify} {split.unit}"
        reason = f"{what}: {split.total} rows, {certify} to certify with"
        raise CheckFailed("rows", reason, wanted_rows(plan, split.unit), fix=advice(state), where=state.rows_place)
    if not split.total and not (state.options.unproven or state.options.draft):
        reason = "there are no rows, and without one nothing shows that the graph answers as its source does"
        raise CheckFailed("rows", reason, "at least 1", fix=advice(state), where=state.rows_place)


def wanted_rows(plan: Plan, unit: str = "rows") -> str:
    """Return the rows that the budget wants, as text."""
    return f"about {plan.wanted} {unit}" if plan.needed else "a budget above 0"


def advice(state: ExportState) -> str:
    """Return what may help, without what was done already."""
    plan, quantise, steps = state.plan, state.definition.quantise, list[str]()
    if not state.split.total:
        steps.append("give rows: set `rows` in model.toml")
    elif plan.needed and not plan.enough:
        steps.append(f"give about {plan.wanted} {state.split.unit}")
    elif plan.needed:
        steps.append("give more rows")
    if FP32 not in competing_variants(state.definition, state.options) and not state.options.draft:
        steps.append("add fp32 to quantise.variants, which needs no certificate")
    field = "max_accuracy_drop" if quantise.max_disagreement is None or quantise.metric else "max_disagreement"
    if not plan.enough or state.split.total:
        steps.append(f"raise quantise.{field}")
    if not state.options.unproven:
        steps.append("pass --unproven, and the archive carries that word")
    return ", or ".join(steps)


def planned(state: ExportState) -> Plan:
    """Make the plan of an export whose rows are split; say it."""
    plan = make_plan(state.definition, state.split, state.options, state.task)
    for line in [*describe_plan(plan, state.definition, state.split, state.task), *spent(state)]:
        state.say(f"      {line}")
    return plan


def spent(state: ExportState) -> list[str]:
    """Return a line about graphs that were refused on these rows, since they make tests of others stricter."""
    log = CertifyLog(state.store, state.definition.name, state.split.certify)
    refused = sum(test.refused for test in log.tests)
    needed = least_rows(state.definition, level_after(refused), basis_of(state.split, state.task))
    return [f"{refused} graphs were refused on these rows; another one wants {needed} of them"] if refused else []
