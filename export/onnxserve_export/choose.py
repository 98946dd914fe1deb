"""Step choose: time all candidates, and order those that are worth certifying.

Where OpenVINO is installed but doesn't serve, candidates are timed on it too, so that its user learns what it is worth.
"""

from __future__ import annotations

from dataclasses import replace

from onnxserve.errors import CheckFailed
from onnxserve_handlers.runtime.session import has_openvino

from .acceptance import budget_of
from .arrays import Arrays
from .batches import rows_of
from .export_state import ExportState
from .plan import advice
from .preprocess import probe_alone, served_batches
from .records import Candidate, Timing
from .sequence import order_candidates
from .step import Step
from .timing import Run, Timed, cpus, graph_runner, take_turns
from .variants import FP32, GPUS, OPENVINO

SINGLES = 8  # rows timed one at a time
GROUPS = 2  # batches timed at the size to be served


def served_threads(state: ExportState) -> int:
    """Return the threads that a worker of this model gets on this machine."""
    serve = state.definition.serve
    return serve.threads or max(1, cpus() // serve.workers)


def time_candidates(state: ExportState, candidates: list[Candidate]) -> list[Timing]:
    """Time every candidate and the source, at batch 1 and at the served size, on one thread and on more."""
    size, groups = state.definition.serve.batch_size, state.groups
    most = {result.variant: result.max_batch for result in state.measured}
    most |= {on_openvino(variant): rows for variant, rows in most.items()}
    singles, full = list(groups.alone.first(SINGLES)), served_batches(state, GROUPS)
    rows = sum(map(rows_of, full))
    medians = []
    counts = sorted({1, served_threads(state), cpus()})
    for number, threads in enumerate(counts):
        state.progress("time", number, len(counts))
        runs = {graph.variant: graph_runner(graph.path, threads, state.provider) for graph in candidates}
        runs[state.model.name] = state.model.runner(threads)
        if compares_openvino(state) and threads == served_threads(state):
            runs |= openvino_runners(state, candidates, singles[:1])
        for batch in sorted({1, size}):
            parts = singles if batch == 1 else full
            timed = [
                Timed(name, run, parts if most.get(name, batch) >= batch else single_rows(state, rows))
                for name, run in runs.items()
            ]
            medians += take_turns(timed, threads, batch)
    return medians


def compares_openvino(state: ExportState) -> bool:
    """Return whether candidates are timed on OpenVINO beside the provider that is to serve."""
    provider = state.definition.serve.provider
    return has_openvino() and provider not in {*GPUS, OPENVINO}


def openvino_runners(state: ExportState, candidates: list[Candidate], rows: list[Arrays]) -> dict[str, Run]:
    """Return the runners of those candidates that run rows on OpenVINO; say why others don't."""
    runs: dict[str, Run] = {}
    for candidate in candidates:
        try:
            run = graph_runner(candidate.path, served_threads(state), OPENVINO)
            for row in rows:
                run(row)
        except Exception as error:  # noqa: BLE001 - a comparison that fails, whatever its type, refuses nothing
            [reason, *_] = [*str(error).splitlines(), "no reason given"]
            state.say(f"      {candidate.variant}: not timed on OpenVINO: {reason}")
        else:
            runs[on_openvino(candidate.variant)] = run
    return runs


def on_openvino(variant: str) -> str:
    """Return the name of a variant's times on OpenVINO."""
    return f"{variant} on OpenVINO"


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
    others = {on_openvino(variant) for variant in ran}
    ms = served_times(state.timings, served_threads(state), state.definition.serve.batch_size)
    kept, left = order_candidates(list(ran.values()), ms, budget_of(state.definition), variants_equal_to_source(state))
    state.measured = [replace(result, refusal=left.get(result.variant, result.refusal)) for result in state.measured]
    by_variant = {candidate.variant: candidate for candidate in candidates}
    state.sequence = [by_variant[result.variant] for result in kept]
    if ms:
        state.say("      " + ", ".join(f"{variant} {took:.3f} ms/row" for variant, took in ms.items()))
    if any(took < min(ms[variant] for variant in ran) for name, took in ms.items() if name in others):
        state.say('      OpenVINO is faster: [serve] provider = "openvino" proves and serves the model on it')
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
