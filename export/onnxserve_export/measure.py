"""Step measure: run each candidate in a process of its own, and compare it with torch on the select rows only."""

from __future__ import annotations

import numpy as np

from .acceptance import Acceptance
from .arrays import Array
from .batches import Batches, concatenated
from .deviation import TOLERANCE, batch_shift, deviation
from .export_state import ExportState
from .paired_statistics import spread_of
from .preprocess import FEW, certify_alone, golden_alone, probe_alone, select_alone
from .records import Candidate, Measured
from .run import GraphCrashed, run_graph
from .step import Step

LIKELY = 0.5  # chance to be certified below which a candidate isn't worth a test


def broken(candidate: Candidate, why: str) -> Measured:
    """Record a candidate that has no results, and why."""
    size = candidate.path.stat().st_size / 1e6
    nothing = (None, 0.0, 0.0, None, None, 0.0, 0.0, False, 0.0, 0)
    return Measured(candidate.variant, size, *nothing, candidate.note, candidate.excluded, why)


def measure_candidate(state: ExportState, candidate: Candidate, acceptance: Acceptance | None) -> Measured:
    """Run a candidate on select, certify and golden rows: in batches, alone and in random batches.

    `acceptance` is None where there are no select rows.

    A candidate whose answers move with the batch is measured again with every row alone, since it may serve rows alone.
    Its outputs for the certify rows are kept for the step `certify`; nothing here looks at them.
    """
    try:
        select, certify, probe, alone, mixed, golden = together(state, candidate)
        shift = batch_shift(probe, alone, mixed, state.groups.mixed_rows, state.scale)
        largest = state.definition.serve.batch_size
        if not shift <= TOLERANCE:
            largest = 1
            parts = (select_alone(state), certify_alone(state), probe_alone(state), golden_alone(state))
            select, certify, probe, golden = (run_rows(candidate, part) for part in parts)
    except GraphCrashed as error:
        return broken(candidate, f"crashed: {error}")
    if not all(np.isfinite(outputs).all() for outputs in (select, certify, probe)):
        return broken(candidate, "gives outputs that are not finite")
    state.outputs[candidate.variant], state.probe_outputs[candidate.variant] = certify, probe
    rows = len(state.split.certify)
    return Measured(
        candidate.variant,
        candidate.path.stat().st_size / 1e6,
        acceptance.compare(select) if acceptance else None,
        acceptance.risk(select) if acceptance else 0.0,
        acceptance.likely_bound(select, rows, LIKELY) if acceptance and rows else 1.0,
        None,
        None,
        deviation(select, state.select_reference, state.scale),
        shift,
        not shift <= TOLERANCE,
        deviation(golden, state.golden_outputs, state.scale),
        largest,
        candidate.note,
        candidate.excluded,
        "",
    )


def run_rows(candidate: Candidate, batches: Batches) -> Array:
    """Return the outputs for batches, of which there may be none."""
    return concatenated(run_graph(candidate.path, batches) if len(batches) else ())


def together(state: ExportState, candidate: Candidate) -> list[Array]:
    """Return the outputs of the batches from select to golden, which follow each other in the file, by one process."""
    groups = state.groups
    parts = [groups.select, groups.certify, groups.probe, groups.alone, groups.mixed, groups.golden]
    rest = iter(run_graph(candidate.path, Batches(groups.select.path, groups.select.start, groups.golden.stop)))
    return [concatenated(next(rest) for _ in range(len(part))) for part in parts]


def call(state: ExportState) -> None:
    """Measure all candidates."""
    acceptance = select_acceptance(state) if len(state.split.select) else None
    state.measured, state.outputs, state.probe_outputs = [], {}, {}
    for number, candidate in enumerate(state.candidates):
        state.progress("measure", number, len(state.candidates))
        result = measure_candidate(state, candidate, acceptance)
        state.measured.append(result)
        state.say(f"      {candidate.variant}: {result.refusal or summary(result)}")


def select_acceptance(state: ExportState) -> Acceptance:
    """Return the comparison with the source on the select rows."""
    spread, labelled = spread_of(spread_rows(state)), state.split.labelled
    return Acceptance(state.definition, state.split.select, state.select_reference, spread, labelled=labelled)


def spread_rows(state: ExportState) -> Array:
    """Return the outputs whose spread is the scale of errors: the select rows', or the probe's where those are few."""
    return state.select_reference if len(state.select_reference) >= FEW else state.probe_reference


def summary(result: Measured) -> str:
    """Describe a result in one line for the terminal."""
    if result.select is None:
        return result.refusal or "there are no select rows to measure it on"
    alone = "; one row at a time, since answers move with the batch" if result.moves else ""
    return f"{result.select.drop:.2%} lost and {result.select.flips:.2%} changed on the select rows{alone}"


STEP = Step("measure", ("candidates", "select_reference", "scale", "groups"), ("measured", "outputs"), call)
