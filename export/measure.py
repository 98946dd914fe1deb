"""Step measure: each candidate in a process of its own, against torch, on rows that nothing was fitted to."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .paired import Paired, compare_labels, compare_values, rows_needed
from .reference import TOLERANCE, deviation
from .run import GraphCrashed, run_graph
from .step import Step
from .work import Array, Candidate, Work


@dataclass(frozen=True)
class Measured:
    """What one candidate does; `refusal` is empty when it may serve."""

    variant: str
    megabytes: float
    paired: Paired | None
    deviation: float
    batch_shift: float
    golden_deviation: float
    refusal: str


def truth(work: Work) -> Array:
    """Indices of the certify rows' labels, shape (rows,)."""
    index = {label: number for number, label in enumerate(work.definition.labels)}
    return np.array([index[str(row.label)] for row in work.split.certify])


def measure_candidate(work: Work, candidate: Candidate) -> Measured:
    """Outputs on the certify rows, in batches and alone, and on the golden rows."""
    groups = work.groups
    parts = [*groups.certify, *groups.alone, groups.golden]
    size = candidate.path.stat().st_size / 1e6
    try:
        outputs = run_graph(candidate.path, parts)
    except GraphCrashed as error:
        return Measured(candidate.variant, size, None, 0.0, 0.0, 0.0, f"crashed: {error}")
    batched = np.concatenate(outputs[: len(groups.certify)])
    alone = np.concatenate(outputs[len(groups.certify) : -1])
    if not np.isfinite(batched).all():
        return Measured(candidate.variant, size, None, 0.0, 0.0, 0.0, "gives outputs that are not finite")
    labels = work.definition.labels
    paired = compare_labels(work.reference, batched, truth(work)) if labels else compare_values(work.reference, batched)
    shift = deviation(alone, batched[: len(alone)])
    return Measured(
        candidate.variant,
        size,
        paired,
        deviation(batched, work.reference),
        shift,
        float(np.abs(outputs[-1] - work.golden_outputs).max()),
        refusal(work, paired, shift),
    )


def refusal(work: Work, paired: Paired, shift: float) -> str:
    """Why a candidate may not serve, empty when it may."""
    budget = work.definition.quantise.max_accuracy_drop
    if not shift <= TOLERANCE:
        return f"a row's answer moves by {shift:.2g} with its neighbours in the batch, {TOLERANCE:g} is allowed"
    if not paired.bound <= budget:
        needed = rows_needed(budget, paired.flips)
        hint = f"; {needed} rows would be needed to certify it" if paired.drop < budget and needed > paired.rows else ""
        return f"accuracy drop {paired.drop:.2%}, 95 % bound {paired.bound:.2%}, {budget:.2%} is allowed{hint}"
    return ""


def call(work: Work) -> None:
    """Measure all candidates."""
    work.measured = []
    for candidate in work.candidates:
        result = measure_candidate(work, candidate)
        work.measured.append(result)
        work.say(f"      {candidate.variant}: {result.refusal or summary(result)}")


def summary(result: Measured) -> str:
    """One line for the terminal."""
    if result.paired is None:
        return result.refusal
    return (
        f"accuracy {result.paired.accuracy:.2%} (torch {result.paired.reference_accuracy:.2%}), "
        f"drop at most {result.paired.bound:.2%}, {result.paired.flips:.2%} of labels differ"
    )


STEP = Step("measure", ("candidates", "reference", "groups"), ("measured",), call)
