"""Times of graphs and of torch itself, taking turns in one process, so that a disturbance hits all alike."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from .arrays import Arrays
from .batches import rows_of
from .graph_process import session
from .records import Timing

ROUNDS = 7
TORCH = "torch"  # the variant's name in tables
Run = Callable[[Arrays], Any]


@dataclass(frozen=True)
class Timed:
    """Something to be timed, with its own batches: a variant that may serve only rows alone gets them alone."""

    variant: str
    run: Run
    batches: list[Arrays]


def cpus() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0))


def graph_runner(path: Path, threads: int) -> Run:
    """A session as a worker has it."""
    loaded = session(str(path), threads)
    return lambda batch: loaded.run(None, batch)


def torch_runner(module: torch.nn.Module, threads: int) -> Run:
    """The module, eager."""

    def run(batch: Arrays) -> Any:
        torch.set_num_threads(threads)
        with torch.inference_mode():
            return module(**{name: torch.from_numpy(array) for name, array in batch.items()})

    return run


def take_turns(timed: Iterable[Timed], threads: int, batch: int) -> list[Timing]:
    """Median over rounds; the first round is warm-up."""
    todo = list(timed)
    samples: dict[str, list[float]] = {one.variant: [] for one in todo}
    before = torch.get_num_threads()
    try:
        for round_ in range(ROUNDS + 1):
            for one in todo:
                start = time.perf_counter()
                for arrays in one.batches:
                    one.run(arrays)
                taken = (time.perf_counter() - start) * 1000 / sum(map(rows_of, one.batches))
                if round_:
                    samples[one.variant].append(taken)
    finally:
        torch.set_num_threads(before)
    return [Timing(variant, threads, batch, statistics.median(times)) for variant, times in samples.items()]
