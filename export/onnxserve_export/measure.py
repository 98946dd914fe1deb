"""Step measure: run each candidate in a process of its own, and compare it with torch on the select rows only."""

from __future__ import annotations

from .acceptance import Acceptance
from .arrays import Arrays, main
from .batches import Batches
from .deviation import TOLERANCE
from .export_state import ExportState
from .graph_file import graph_bytes
from .outputs import all_finite, join, largest_deviation, largest_shift
from .preprocess import certify_alone, golden_alone, select_alone
from .records import Candidate, Measured
from .run import GraphCrashed, run_cut
from .step import Step

LIKELY = 0.5  # chance to be certified below which a candidate isn't worth a test


def broken(candidate: Candidate, why: str) -> Measured:
    """Record a candidate that has no results, and why."""
    size = graph_bytes(candidate.path) / 1e6
    nothing = (None, 0.0, 0.0, None, None, 0.0, 0.0, False, 0.0, 0)
    return Measured(candidate.variant, size, *nothing, candidate.note, candidate.excluded, why)


def measure_candidate(state: ExportState, candidate: Candidate, acceptance: Acceptance) -> Measured:
    """Run a candidate on select, certify and golden rows: in batches, alone and in random batches.

    A candidate whose answers move with the batch is measured again with every row alone, since it may serve rows alone.
    Its outputs for the certify rows are kept for the step `certify`; nothing here looks at them.
    """
    try:
        select, certify, alone, mixed, golden = together(state, candidate)
        shift = largest_shift(certify, alone, mixed, state.groups.mixed_rows, state.scales)
        largest = state.definition.serve.batch_size
        if not shift <= TOLERANCE:
            largest = 1
            parts = (select_alone(state), certify_alone(state), golden_alone(state))
            select, certify, golden = (join(run_cut(candidate.path, part, state.row_axes)) for part in parts)
    except GraphCrashed as error:
        return broken(candidate, f"crashed: {error}")
    if not all(all_finite(outputs) for outputs in (select, certify)):
        return broken(candidate, "gives outputs that are not finite")
    state.outputs[candidate.variant] = certify
    return Measured(
        candidate.variant,
        graph_bytes(candidate.path) / 1e6,
        acceptance.compare(main(select)),
        acceptance.risk(main(select)),
        acceptance.likely_bound(main(select), len(state.split.certify), LIKELY),
        None,
        None,
        largest_deviation(select, state.select_reference, state.scales),
        shift,
        not shift <= TOLERANCE,
        largest_deviation(golden, state.golden_outputs, state.scales),
        largest,
        candidate.note,
        candidate.excluded,
        "",
    )


def together(state: ExportState, candidate: Candidate) -> list[Arrays]:
    """Return the outputs of the batches from select to golden, which follow each other in the file, by one process."""
    groups = state.groups
    parts = [groups.select, groups.certify, groups.alone, groups.mixed, groups.golden]
    whole = Batches(groups.select.path, groups.select.start, groups.golden.stop)
    rest = iter(run_cut(candidate.path, whole, state.row_axes))
    return [join(next(rest) for _ in range(len(part))) for part in parts]


def call(state: ExportState) -> None:
    """Measure all candidates."""
    acceptance = Acceptance(state.definition, state.split.select, main(state.select_reference))
    state.measured, state.outputs = [], {}
    for number, candidate in enumerate(state.candidates):
        state.progress("measure", number, len(state.candidates))
        result = measure_candidate(state, candidate, acceptance)
        state.measured.append(result)
        state.say(f"      {candidate.variant}: {result.refusal or summary(result)}")


def summary(result: Measured) -> str:
    """Describe a result in one line for the terminal."""
    if result.select is None:
        return result.refusal
    alone = "; one row at a time, since answers move with the batch" if result.moves else ""
    return f"{result.select.drop:.2%} lost and {result.select.flips:.2%} changed on the select rows{alone}"


STEP = Step("measure", ("candidates", "select_reference", "scales", "groups"), ("measured", "outputs"), call)
