"""The settings that are worth a live run."""

from __future__ import annotations

from .point import Point
from .times import Timing, batch_ms

SHORTLIST = 4
DELAYS_MS = (1, 4)  # 1 is TorchServe's least: with our plugin it means no waiting


def batches(largest: int) -> list[int]:
    """Return 1, 2, 4, … up to the largest batch that was proven."""
    sizes = [1 << power for power in range(largest.bit_length()) if 1 << power < largest]
    return [*sizes, largest]


def shares(cpus: int) -> list[tuple[int, int]]:
    """Return each (workers, threads) that uses all CPUs and no more."""
    return [(workers, cpus // workers) for workers in range(1, cpus + 1) if cpus % workers == 0]


def predict_rate(point: Point, times: list[Timing]) -> float:
    """Predict the requests per second of the model alone; frontend and clients need CPU too."""
    return 1000 * point.workers * point.batch / batch_ms(times, point.threads, point.batch)


def shortlist(times: list[Timing], cpus: int, largest: int, p99_ms: float) -> list[Point]:
    """Return the fastest predicted settings inside the objective, at least one for each share of the CPUs.

    A request waits at most for the batch before it and its own, and for the delay. One thread on one
    worker leaves CPUs to the frontend, which cheap models need more.
    """
    candidates: list[Point] = []
    for workers, threads in [*shares(cpus), (1, 1)]:
        points = [
            Point(workers, threads, batch, delay)
            for batch in batches(largest)
            for delay in DELAYS_MS
            if 2 * batch_ms(times, threads, batch) + delay <= p99_ms and (batch > 1 or delay == DELAYS_MS[0])
        ]
        candidates += sorted(points, key=lambda point: (-predict_rate(point, times), point.delay_ms))[:2]
    unique = sorted(set(candidates), key=lambda point: (-predict_rate(point, times), point.delay_ms))
    return unique or [Point(cpus, 1, 1, DELAYS_MS[0])]
