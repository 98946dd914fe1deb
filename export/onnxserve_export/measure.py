"""Step measure: each candidate in a process of its own; against torch on the select rows only."""

from __future__ import annotations

import numpy as np

from .arrays import Array
from .batches import Batches, joined
from .deviation import TOLERANCE, batch_shift, deviation
from .judge import Judge
from .records import Candidate, Measured
from .run import GraphCrashed, run_graph
from .stage import certify_alone, golden_alone, select_alone
from .step import Step
from .work import Work

LIKELY = 0.5  # chance to be certified below which a candidate isn't worth a test


def broken(candidate: Candidate, why: str) -> Measured:
    """A candidate without results."""
    size = candidate.path.stat().st_size / 1e6
    nothing = (None, 0.0, 0.0, None, None, 0.0, 0.0, False, 0.0, 0)
    return Measured(candidate.variant, size, *nothing, candidate.note, candidate.excluded, why)


def measure_candidate(work: Work, candidate: Candidate, judge: Judge) -> Measured:
    """Outputs on select, certify and golden rows, in batches, alone and in random company.

    A candidate whose answers move with the batch is measured again with every row alone, since so it may serve.
    What it answers to the certify rows is kept for the step `certify`, not looked at.
    """
    try:
        select, certify, alone, mixed, golden = together(work, candidate)
        shift = batch_shift(certify, alone, mixed, work.groups.company, work.scale)
        largest = work.definition.serve.batch_size
        if not shift <= TOLERANCE:
            largest = 1
            parts = (select_alone(work), certify_alone(work), golden_alone(work))
            select, certify, golden = (joined(run_graph(candidate.path, part)) for part in parts)
    except GraphCrashed as error:
        return broken(candidate, f"crashed: {error}")
    if not all(np.isfinite(outputs).all() for outputs in (select, certify)):
        return broken(candidate, "gives outputs that are not finite")
    work.outputs[candidate.variant] = certify
    return Measured(
        candidate.variant,
        candidate.path.stat().st_size / 1e6,
        judge.compare(select),
        judge.risk(select),
        judge.likely_bound(select, len(work.split.certify), LIKELY),
        None,
        None,
        deviation(select, judge.reference, work.scale),
        shift,
        not shift <= TOLERANCE,
        deviation(golden, work.golden_outputs, work.scale),
        largest,
        candidate.note,
        candidate.excluded,
        "",
    )


def together(work: Work, candidate: Candidate) -> list[Array]:
    """Outputs for the batches from select to golden, which lie one behind the other, from one process."""
    groups = work.groups
    parts = [groups.select, groups.certify, groups.alone, groups.mixed, groups.golden]
    rest = iter(run_graph(candidate.path, Batches(groups.select.path, groups.select.start, groups.golden.stop)))
    return [joined(next(rest) for _ in range(len(part))) for part in parts]


def call(work: Work) -> None:
    """Measure all candidates."""
    judge = Judge(work.definition, work.split.select, work.select_reference)
    work.measured, work.outputs = [], {}
    for number, candidate in enumerate(work.candidates):
        work.progress("measure", number, len(work.candidates))
        result = measure_candidate(work, candidate, judge)
        work.measured.append(result)
        work.say(f"      {candidate.variant}: {result.refusal or summary(result)}")


def summary(result: Measured) -> str:
    """One line for the terminal."""
    if result.select is None:
        return result.refusal
    alone = "; one row at a time, since answers move with the batch" if result.moves else ""
    return f"{result.select.drop:.2%} lost and {result.select.flips:.2%} changed on the select rows{alone}"


STEP = Step("measure", ("candidates", "select_reference", "scale", "groups"), ("measured", "outputs"), call)
