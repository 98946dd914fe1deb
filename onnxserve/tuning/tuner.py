"""The tuner: it finds the settings of an archive that serve most requests inside an objective."""

from __future__ import annotations

import math
import os
import platform
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import msgspec

from onnxserve.archive import file_digest, max_batch, read_config, reconfigure, summarise, unpack_trusted
from onnxserve.errors import TuneError
from onnxserve.scratch import Scratch
from onnxserve.torchserve import Settings

from .curves import section, write_section
from .grid import SHORTLIST, batches, predict_rate, shares, shortlist
from .live import Live, live, point_of, served_as
from .noise import QUIET, unsteadiness
from .point import Point, Sample, Tuning
from .search import highest_rate, interval
from .state import Measurements, Round, State
from .times import measure_times

FINALISTS = 2
ROUNDS = 4
Progress = Callable[[str, int, int], None]  # what, done, total


@dataclass(frozen=True)
class Plan:
    """The archive, the objective and the effort of a tuning."""

    archive: Path
    p99_ms: float
    settings: Settings
    cpus: int
    seconds: float = 3.0
    rounds: int = ROUNDS


def machine(cpus: int) -> dict[str, object]:
    """Describe the machine that a tuning is valid for."""
    return {"cpu": cpu_name(), "cpus": cpus, "python": platform.python_version()}


def cpu_name(path: Path = Path("/proc/cpuinfo")) -> str:
    """Return the name of the processor."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def state_of(plan: Plan) -> State:
    """Return the measurements of this archive, objective and machine."""
    # The configuration is what we change: only the rest names the archive.
    digest = file_digest(plan.archive)[:16]
    key = f"{plan.archive.stem}-{digest}-{plan.p99_ms:g}ms-{plan.cpus}cpus-{plan.seconds:g}s"
    return State(plan.settings.state / "tune", key)


def tune(plan: Plan, progress: Progress) -> tuple[Tuning, Measurements]:
    """Measure and choose; the archive isn't changed. TuneError if no setting can keep the objective."""
    state = state_of(plan)
    measured = state.read()
    largest = max_batch(plan.archive)
    progress("batches in the worker", 0, 1)
    if not measured.times:
        with Scratch() as scratch:
            unpack_trusted(plan.archive, scratch)
            threads = sorted({1, *(threads for _, threads in shares(plan.cpus))})
            measured.times = measure_times(scratch, threads, batches(largest))
        state.write(measured)
    points = shortlist(measured.times, plan.cpus, largest, plan.p99_ms)[:SHORTLIST]
    jobs = [(point, 1) for point in points]
    run_rounds(plan, state, measured, jobs, progress)
    best = sorted(points, key=lambda point: -max(measured.rates(point)))[:FINALISTS]
    before = point_of(read_config(plan.archive), plan.cpus)
    # The setting that the archive has runs beside the best, to tell what the choice gains. They are interleaved, so
    # that a disturbance hits all.
    finalists = list(dict.fromkeys([*best, before]))
    jobs = [(point, count) for count in range(1, plan.rounds + 1) for point in finalists]
    run_rounds(plan, state, measured, jobs, progress)
    return choose(plan, measured, finalists, before), measured


def run_rounds(
    plan: Plan, state: State, measured: Measurements, jobs: list[tuple[Point, int]], progress: Progress
) -> None:
    """Run one search for each job (setting, number of searches by then) that isn't done yet."""
    for finished, (point, rounds) in enumerate(jobs):
        progress(str(point), finished, len(jobs))
        if len(measured.rates(point)) >= rounds:
            continue
        with live(plan.archive, point, plan.settings, predict_rate(point, measured.times)) as server:
            rate, runs = search(server, plan)
        measured.rounds.append(Round(point, rate, runs))
        state.write(measured)
    progress("done", len(jobs), len(jobs))


def search(server: Live, plan: Plan) -> tuple[float, list[Sample]]:
    """Find the highest rate of one server inside the objective."""
    return highest_rate(lambda rate: server.offer(rate, plan.seconds), server.ceiling, plan.p99_ms)


def choose(plan: Plan, measured: Measurements, finalists: list[Point], before: Point) -> Tuning:
    """Choose the finalist with the highest mean rate; TuneError if none keeps the objective."""
    means = {point: interval(measured.rates(point)) for point in finalists}
    point = max(means, key=lambda candidate: means[candidate][0])
    mean, low, high = means[point]
    if mean <= 0:
        raise TuneError(
            f"no setting keeps p99 within {plan.p99_ms:g} ms on {plan.cpus} CPUs",
            where=str(plan.archive),
            fix="allow more with --p99-ms; the fastest batch of one takes "
            f"{min(timing.ms for timing in measured.times if timing.batch == 1):.1f} ms in the worker alone",
        )
    rounds = len(measured.rates(point))
    return Tuning(point, plan.p99_ms, mean, low, high, rounds, machine(plan.cpus), before, means[before][0])


def check_quiet(tuning: Tuning) -> None:
    """Raise TuneError if the rounds differ too much."""
    if tuning.spread <= QUIET:
        return
    raise TuneError(
        f"the machine is too noisy: {tuning.requests_per_second:.0f} requests per second ± {tuning.spread:.0%}, "
        f"{QUIET:.0%} is allowed",
        where=f"{os.cpu_count()} CPUs, load {os.getloadavg()[0]:.1f}, a fixed piece of work varies by "
        f"{unsteadiness():.0%}",
        fix="stop other work and run again (rounds already measured count), add --rounds, or write it with --force",
    )


def write_tuning(archive: Path, tuning: Tuning, measured: Measurements) -> str:
    """Write the choice into the archive's configuration and the curves into its report; return the new SHA-256."""
    bound = max(16, math.ceil(2 * tuning.requests_per_second * tuning.p99_ms / 1000))
    kept = {**served_as(tuning.point), "jobQueueSize": bound, "tuning": msgspec.to_builtins(tuning)}
    digest = reconfigure(archive, archive, kept)
    summary = summarise(archive)
    write_section(archive.with_name(f"{summary.name}-{summary.version}.report.html"), section(tuning, measured))
    return digest
