"""Step measure: each candidate in a process of its own, against torch, on rows that nothing was fitted to."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .batches import Batches, joined
from .closeness import Closeness, compare
from .deviation import TOLERANCE, batch_shift, deviation
from .judge import Judge
from .paired import Paired
from .run import GraphCrashed, run_graph
from .stage import certify_alone, golden_alone
from .step import Step
from .work import Array, Candidate, Work


@dataclass(frozen=True)
class Measured:
    """What one candidate does; `refusal` is empty when it may serve, in batches of at most `max_batch` rows.

    `moves` says that answers move with the batch, so that rows must be served alone.
    """

    variant: str
    megabytes: float
    paired: Paired | None
    closeness: Closeness | None
    deviation: float
    batch_shift: float
    moves: bool
    golden_deviation: float
    max_batch: int
    note: str
    excluded: tuple[str, ...]
    refusal: str


def refused(candidate: Candidate, why: str) -> Measured:
    """A candidate without results."""
    size = candidate.path.stat().st_size / 1e6
    return Measured(
        candidate.variant, size, None, None, 0.0, 0.0, False, 0.0, 0, candidate.note, candidate.excluded, why
    )


def measure_candidate(work: Work, candidate: Candidate, judge: Judge) -> Measured:
    """Outputs on the certify rows, in batches, alone and in random company, and on the golden rows.

    A candidate whose answers move with the batch is measured again with every row alone, since so it may serve.
    """
    try:
        certify, alone, mixed, golden = together(work, candidate)
        shift = batch_shift(certify, alone, mixed, work.groups.company)
        largest = work.definition.serve.batch_size
        if not shift <= TOLERANCE:
            largest = 1
            certify, golden = (
                joined(run_graph(candidate.path, part)) for part in (certify_alone(work), golden_alone(work))
            )
    except GraphCrashed as error:
        return refused(candidate, f"crashed: {error}")
    if not np.isfinite(certify).all():
        return refused(candidate, "gives outputs that are not finite")
    work.outputs[candidate.variant] = certify
    paired = judge.compare(certify)
    return Measured(
        candidate.variant,
        candidate.path.stat().st_size / 1e6,
        paired,
        compare(judge.reference, certify, judge.truth),
        deviation(certify, judge.reference),
        shift,
        not shift <= TOLERANCE,
        float(np.abs(golden - work.golden_outputs).max()),
        largest,
        candidate.note,
        candidate.excluded,
        judge.verdict(paired),
    )


def together(work: Work, candidate: Candidate) -> list[Array]:
    """Outputs for certify, alone, mixed and golden batches, which lie one behind the other, from one process."""
    groups = work.groups
    parts = [groups.certify, groups.alone, groups.mixed, groups.golden]
    rest = iter(run_graph(candidate.path, Batches(groups.certify.path, groups.certify.start, groups.golden.stop)))
    return [joined(next(rest) for _ in range(len(part))) for part in parts]


def call(work: Work) -> None:
    """Measure all candidates."""
    judge = Judge(work.definition, work.split.certify, work.reference)
    work.measured, work.outputs = [], {}
    for number, candidate in enumerate(work.candidates):
        work.progress("measure", number, len(work.candidates))
        result = measure_candidate(work, candidate, judge)
        work.measured.append(result)
        work.say(f"      {candidate.variant}: {result.refusal or summary(result)}")


def summary(result: Measured) -> str:
    """One line for the terminal."""
    if result.paired is None:
        return result.refusal
    alone = " (only one row at a time: answers move with the batch)" if result.moves else ""
    return (
        f"accuracy {result.paired.accuracy:.2%} (torch {result.paired.reference_accuracy:.2%}), "
        f"drop at most {result.paired.bound:.2%}, {result.paired.flips:.2%} of answers differ{alone}"
    )


STEP = Step("measure", ("candidates", "reference", "groups"), ("measured", "outputs"), call)
