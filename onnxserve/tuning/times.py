"""Times of an archive's batches by size, length and threads, measured by its own handler in a process of its own."""

from __future__ import annotations

from pathlib import Path

import msgspec

from onnxserve.archive.offline import run_offline
from onnxserve.scratch import Scratch


class Timing(msgspec.Struct, frozen=True):
    """Median time of one batch of `batch` requests, whose bodies are `length` bytes in the mean."""

    threads: int
    batch: int
    length: int
    ms: float


def measure_times(folder: Path, threads: list[int], batches: list[int]) -> list[Timing]:
    """Measure all combinations in turns, so that a disturbance affects all equally."""
    with Scratch() as scratch:
        source, target = scratch / "plan.json", scratch / "times.json"
        source.write_bytes(msgspec.json.encode({"threads": threads, "batches": batches}))
        run_offline(folder.resolve(), "times", source, target)
        return msgspec.json.decode(target.read_bytes(), type=list[Timing])


def batch_ms(times: list[Timing], threads: int, batch: int) -> float:
    """Return the time of a batch of mixed lengths, ms: the mean over the measured lengths."""
    milliseconds = [timing.ms for timing in times if (timing.threads, timing.batch) == (threads, batch)]
    return sum(milliseconds) / len(milliseconds)
