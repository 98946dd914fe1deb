"""Step measure: run each candidate in a process of its own, and compare it with torch on the select rows only."""

from __future__ import annotations

from collections import deque
from dataclasses import asdict
from itertools import islice

import msgspec

from onnxserve.archive.evidence import describe_loss
from onnxserve_handlers.outputs import Outputs
from onnxserve_handlers.registry import read_signature

from .acceptance import Acceptance, basis_of, claim_of, error_spreads, form_of
from .arrays import Array, Arrays, main
from .batches import Batches
from .criterion import METRIC, Claim, measure_name
from .deviation import TOLERANCE
from .export_state import ExportState
from .golden import shortened, wrong_rows
from .graph_file import graph_bytes
from .graph_outputs import GraphOutputs, outputs_for
from .outputs import all_finite, largest_deviation, largest_shift, with_row_sizes
from .paired_statistics import PairedStatistics
from .preprocess import FEW, golden_alone, select_alone
from .records import Candidate, Measured
from .run import GraphCrashed
from .source_worth import check_worth
from .step import Step
from .subset import Subset
from .timing import cpus
from .variants import FP32

LIKELY = 0.5  # chance to be certified below which a candidate isn't worth a test


def broken(candidate: Candidate, why: str) -> Measured:
    """Record a candidate that has no results, and why."""
    size = graph_bytes(candidate.path) / 1e6
    nothing = (None, 0.0, 0.0, None, None, 0.0, 0.0, False, 0.0, 0)
    return Measured(candidate.variant, size, *nothing, candidate.note, candidate.excluded, why, fusion=candidate.fusion)


def measure_candidate(
    state: ExportState, candidate: Candidate, run: GraphOutputs, acceptance: Acceptance | None
) -> Measured:
    """Compare a candidate on select and golden rows: in batches, alone and in random batches.

    `run` is that of `together`. `acceptance` is None where there are no select rows. A candidate whose answers
    move with the batch is measured again with every row alone, since it may serve rows alone.
    """
    try:
        groups = state.groups
        select, probe, golden = (run.of(part) for part in (groups.select, groups.probe, groups.golden))
        shift = largest_shift(probe, run.of(groups.alone), run.of(groups.mixed), groups.mixed_rows, state.scales)
        largest = state.definition.serve.batch_size
        if not shift <= TOLERANCE:
            largest = 1
            parts = (select_alone(state), golden_alone(state))
            select, golden = (
                outputs_for(candidate.path, part, state.row_axes, state.scratch, state.provider) for part in parts
            )
    except GraphCrashed as error:
        return broken(candidate, f"crashed: {error}")
    if not all(all_finite(outputs) for outputs in (select, probe, golden)):
        return broken(candidate, "gives outputs that are not finite")
    if fault := golden_fault(state, golden):
        return broken(candidate, fault)
    rows, answers = state.split.units("certify"), sized(state, select, groups.select)
    return Measured(
        candidate.variant,
        graph_bytes(candidate.path) / 1e6,
        acceptance.compare(answers) if acceptance else None,
        acceptance.risk(answers) if acceptance else 0.0,
        acceptance.likely_bound(answers, rows, LIKELY) if acceptance and rows else 1.0,
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
        fusion=candidate.fusion,
    )


def golden_fault(state: ExportState, golden: Arrays) -> str:
    """Return why a candidate may not serve whose outputs for the golden rows are `golden`, empty if it may."""
    batches = state.groups.golden
    wrong = wrong_rows(state.golden, state.opened, sized(state, golden, batches), batches.origins(), state.scales)
    if not wrong:
        return ""
    count, label = f"{len(wrong)} of {len(state.golden)}", shortened(state.golden[wrong[0]]["label"])
    return f"answers {count} golden rows otherwise than their labels say, the first of which is {label}"


def together(state: ExportState, candidate: Candidate) -> GraphOutputs:
    """Return the outputs for the batches from select to mixed, which follow each other; a process computes them."""
    if candidate.variant == FP32 and state.fp32_outputs is not None:
        return state.fp32_outputs
    groups = state.groups
    whole = Batches(groups.select.path, groups.select.start, groups.mixed.stop)
    return state.start(candidate.path, whole)


def call(state: ExportState) -> None:
    """Measure all candidates. As many run at a time as there are cores: each takes one thread, and nothing is timed.

    The next one starts when one was measured, so that the outputs of few candidates are kept at a time.
    """
    acceptance = select_acceptance(state) if state.split.units("select") else None
    if acceptance:
        check_worth(acceptance, state.model.name)
    state.measured = []
    rest = iter(state.candidates)
    running = deque(together(state, candidate) for candidate in islice(rest, cpus()))
    for number, candidate in enumerate(state.candidates):
        state.progress("measure", number, len(state.candidates))
        result = measure_candidate(state, candidate, running.popleft(), acceptance)
        running.extend(together(state, following) for following in islice(rest, 1))
        state.measured.append(result)
        state.say(f"      {candidate.variant}: {result.refusal or summary(state, result)}")


def select_acceptance(state: ExportState) -> Acceptance:
    """Return the comparison with the source on the select rows."""
    return acceptance_on(state, state.split.select, state.select_reference, state.groups.select)


def acceptance_on(state: ExportState, subset: Subset, reference: Arrays, batches: Batches) -> Acceptance:
    """Return the comparison with the source on one subset of the rows, by the options that its outputs decided."""
    return Acceptance(
        msgspec.structs.replace(state.definition, output=read_signature(state.archive_folder).output),
        subset,
        sized(state, reference, batches),
        spreads_of(state),
        basis=basis_of(state.split, state.opened),
        origins=batches.origins(),
    )


def sized(state: ExportState, arrays: Arrays, batches: Batches) -> Outputs:
    """Return outputs for batches with each row's own sizes."""
    return with_row_sizes(arrays, batches.sizes(), state.row_axes)


def spreads_of(state: ExportState) -> Array:
    """Return the scales of errors by the source's outputs for the select rows, or the probe's where those are few."""
    outputs = state.probe_reference if len(state.split.select) < FEW else state.select_reference
    return error_spreads(state.definition, main(outputs), free=next(iter(outputs)) in state.output_axes)


def summary(state: ExportState, result: Measured) -> str:
    """Describe a result in one line for the terminal."""
    if result.select is None:
        return "there are no select rows to measure it on"
    alone = "; one row at a time, since answers move with the batch" if result.moves else ""
    return f"{loss_of(state, result.select)}, by the select rows{alone}"


def loss_of(state: ExportState, paired: PairedStatistics) -> str:
    """Describe what a candidate loses, in the words of the task."""
    tolerance = state.definition.quantise.tolerance
    task, claim, measure = statement(state)
    return describe_loss(asdict(paired), task, claim, tolerance, measure)


def statement(state: ExportState) -> tuple[str, Claim, str]:
    """Return what is compared, what is claimed, and the name of what is measured."""
    definition, hooks = state.definition, state.task
    claim = claim_of(definition, basis_of(state.split, hooks))
    task = METRIC if definition.quantise.metric else form_of(definition, claim, hooks)
    return task, claim, measure_name(task, claim, hooks, ranks=state.split.ranks)


STEP = Step("measure", ("candidates", "select_reference", "scales", "groups"), ("measured",), call)
