"""Step choose: the fastest candidate among those that may serve."""

from __future__ import annotations

from onnxserve.errors import CheckFailed

from .batches import rows_of
from .measure import Measured
from .stage import certify_alone, served
from .step import Step
from .timing import TORCH, Timed, Timing, cpus, graph_runner, take_turns, torch_runner
from .work import Arrays, Candidate, Work

# A slower but more exact candidate wins unless the other is faster by more than timing noise.
NOISE = 0.05
SINGLES = 8  # rows timed one at a time
GROUPS = 2  # batches timed at the size to be served


def served_threads(work: Work) -> int:
    """What a worker of this model gets on a machine like this one."""
    serve = work.definition.serve
    return serve.threads or max(1, cpus() // serve.workers)


def timings(work: Work, candidates: list[Candidate]) -> list[Timing]:
    """Every candidate and torch, at batch 1 and at the served size, on one thread and on more."""
    size, groups = work.definition.serve.batch_size, work.groups
    largest = {result.variant: result.max_batch for result in work.measured}
    singles, full = list(groups.alone.first(SINGLES)), served(work, GROUPS)
    rows = sum(map(rows_of, full))
    found = []
    counts = sorted({1, served_threads(work), cpus()})
    for number, threads in enumerate(counts):
        work.progress("time", number, len(counts))
        runs = {candidate.variant: graph_runner(candidate.path, threads) for candidate in candidates}
        runs[TORCH] = torch_runner(work.module, threads)
        for batch in sorted({1, size}):
            parts = singles if batch == 1 else full
            timed = [
                Timed(variant, run, parts if largest.get(variant, batch) >= batch else alone(work, rows))
                for variant, run in runs.items()
            ]
            found += take_turns(timed, threads, batch)
    return found


def alone(work: Work, rows: int) -> list[Arrays]:
    """The rows of the full batches, one at a time."""
    return list(certify_alone(work).first(rows))


def call(work: Work) -> None:
    """Time what ran, interleaved, and take the fastest of those that passed, as it would be served."""
    ran = {result.variant for result in work.measured if result.paired}
    passed = {result.variant: result for result in work.measured if not result.refusal}
    fit = [candidate for candidate in work.candidates if candidate.variant in passed]
    if not fit:
        reasons = "; ".join(f"{result.variant}: {result.refusal}" for result in work.measured)
        raise CheckFailed(
            "choose",
            f"no variant passes ({reasons})",
            "at least one",
            fix="add fp32 to quantise.variants, raise quantise.max_accuracy_drop, or give more rows",
        )
    work.timings = timings(work, [candidate for candidate in work.candidates if candidate.variant in ran])
    times = served_times(work.timings, served_threads(work), work.definition.serve.batch_size)
    work.chosen = fastest(fit, times, passed)
    table = ", ".join(f"{variant} {ms:.3f} ms/row" for variant, ms in times.items())
    work.say(f"      {table}; chosen: {work.chosen.variant}")


def served_times(found: list[Timing], threads: int, batch: int) -> dict[str, float]:
    """Milliseconds a row by variant at one setting."""
    return {one.variant: one.ms for one in found if (one.threads, one.batch) == (threads, batch)}


def fastest(fit: list[Candidate], times: dict[str, float], passed: dict[str, Measured]) -> Candidate:
    """The most exact of those within `NOISE` of the fastest."""
    limit = min(times[candidate.variant] for candidate in fit) * (1 + NOISE)
    near = [candidate for candidate in fit if times[candidate.variant] <= limit]
    return min(near, key=lambda candidate: passed[candidate.variant].deviation)


STEP = Step("choose", ("candidates", "measured", "groups", "module"), ("timings", "chosen"), call)
