"""Times of graphs and of their source, which take turns in one process, so that a disturbance affects all equally."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .arrays import Arrays
from .batches import rows_of
from .graph_process import session
from .records import Timing
from .variants import CPU

ROUNDS = 5
Run = Callable[[Arrays], Any]


@dataclass(frozen=True)
class Timed:
    """A variant to be timed, with its own batches: one that may serve only single rows gets single rows."""

    variant: str
    run: Run
    batches: list[Arrays]


def cpus() -> int:
    """Return the number of cores that this process may use."""
    return len(os.sched_getaffinity(0))


def graph_runner(path: Path, threads: int, provider: str = CPU) -> Run:
    """Return a function that runs a graph in a session like a worker's."""
    loaded = session(str(path), threads, provider=provider)
    return lambda batch: loaded.run(None, batch)


def take_turns(timed: Iterable[Timed], threads: int, batch: int) -> list[Timing]:
    """Return each variant's median milliseconds per row over rounds; the first round is warm-up."""
    todo = list(timed)
    samples: dict[str, list[float]] = {candidate.variant: [] for candidate in todo}
    for round_ in range(ROUNDS + 1):
        for candidate in todo:
            start = time.perf_counter()
            for arrays in candidate.batches:
                candidate.run(arrays)
            taken = (time.perf_counter() - start) * 1000 / sum(map(rows_of, candidate.batches))
            if round_:
                samples[candidate.variant].append(taken)
    return [Timing(variant, threads, batch, statistics.median(times)) for variant, times in samples.items()]
