"""Step choose: time all candidates, and order those that are worth certifying."""

from __future__ import annotations

from dataclasses import replace

from onnxserve.errors import CheckFailed

from .acceptance import budget_of
from .arrays import Arrays
from .batches import rows_of
from .export_state import ExportState
from .plan import advice
from .preprocess import probe_alone, served_batches
from .records import Candidate, Timing
from .sequence import order_candidates
from .step import Step
from .timing import Timed, cpus, graph_runner, take_turns
from .variants import FP32

SINGLES = 8  # rows timed one at a time
GROUPS = 2  # batches timed at the size to be served


def served_threads(state: ExportState) -> int:
    """Return the threads that a worker of this model gets on this machine."""
    serve = state.definition.serve
    return serve.threads or max(1, cpus() // serve.workers)


def time_candidates(state: ExportState, candidates: list[Candidate]) -> list[Timing]:
    """Time every candidate and the source, at batch 1 and at the served size, on one thread and on more."""
    size, groups = state.definition.serve.batch_size, state.groups
    largest = {result.variant: result.max_batch for result in state.measured}
    singles, full = list(groups.alone.first(SINGLES)), served_batches(state, GROUPS)
    rows = sum(map(rows_of, full))
    medians = []
    counts = sorted({1, served_threads(state), cpus()})
    for number, threads in enumerate(counts):
        state.progress("time", number, len(counts))
        runs = {candidate.variant: graph_runner(candidate.path, threads) for candidate in candidates}
        runs[state.model.name] = state.model.runner(threads)
        for batch in sorted({1, size}):
            parts = singles if batch == 1 else full
            timed = [
                Timed(variant, run, parts if largest.get(variant, batch) >= batch else single_rows(state, rows))
                for variant, run in runs.items()
            ]
            medians += take_turns(timed, threads, batch)
    return medians


def single_rows(state: ExportState, rows: int) -> list[Arrays]:
    """Return the rows of the full batches, one at a time."""
    return list(probe_alone(state).first(rows))


def call(state: ExportState) -> None:
    """Time the candidates that ran, interleaved and as they would be served, and form the sequence."""
    ran = {result.variant: result for result in state.measured if not result.refusal}
    candidates = [candidate for candidate in state.candidates if candidate.variant in ran]
    if not candidates:
        refused = state.refused | {result.variant: result.refusal for result in state.measured}
        reasons = "; ".join(f"{variant}: {why}" for variant, why in refused.items())
        raise CheckFailed("choose", f"no variant runs ({reasons})", "at least one", fix=advice(state))
    state.timings = [] if state.options.draft else time_candidates(state, candidates)
    ms = served_times(state.timings, served_threads(state), state.definition.serve.batch_size)
    kept, left = order_candidates(list(ran.values()), ms, budget_of(state.definition), variants_equal_to_source(state))
    state.measured = [replace(result, refusal=left.get(result.variant, result.refusal)) for result in state.measured]
    by_variant = {candidate.variant: candidate for candidate in candidates}
    state.sequence = [by_variant[result.variant] for result in kept]
    if ms:
        state.say("      " + ", ".join(f"{variant} {took:.3f} ms/row" for variant, took in ms.items()))
    for variant, why in left.items():
        state.say(f"      {variant}: {why}")


def variants_equal_to_source(state: ExportState) -> tuple[str, ...]:
    """Return the variants that need no certificate, since they are equal to the source on every row compared."""
    return (FP32,) if state.row_parity is not None and not state.row_parity.fault else ()


def served_times(records: list[Timing], threads: int, batch: int) -> dict[str, float]:
    """Return milliseconds per row by variant, at one number of threads and one batch size."""
    return {timing.variant: timing.ms for timing in records if (timing.threads, timing.batch) == (threads, batch)}


STEP = Step(
    "choose",
    ("candidates", "refused", "measured", "groups", "model", "row_parity"),
    ("timings", "sequence"),
    call,
)
