"""A setting, the samples of its runs, and the tuning that is chosen."""

from __future__ import annotations

from typing import Any

import msgspec


class Point(msgspec.Struct, frozen=True, order=True):
    """One way to serve a model."""

    workers: int
    threads: int
    batch: int
    delay_ms: int

    def __str__(self) -> str:
        threads = f"{self.threads} thread{'s' if self.threads > 1 else ''}"
        return f"{self.workers} x {threads}, batch {self.batch}, delay {self.delay_ms} ms"


class Sample(msgspec.Struct, frozen=True):
    """One open-loop run: offered and answered requests per second, latencies in ms, requests that failed."""

    offered: float
    answered: float
    p50_ms: float
    p99_ms: float
    failed: int
    sent: int

    def holds(self, p99_ms: float) -> bool:
        """Return whether the run keeps the objective: all requests answered, in time, and as fast as they came."""
        return self.failed == 0 and self.p99_ms <= p99_ms and self.answered >= 0.9 * self.offered


class Tuning(msgspec.Struct, frozen=True):
    """What `onnxserve tune load` writes into an archive: the choice and its rate with a 95 % confidence interval.

    `before` is the setting that the archive had and `before_requests_per_second` its rate, measured in the same rounds.
    """

    point: Point
    p99_ms: float
    requests_per_second: float
    low: float
    high: float
    rounds: int
    machine: dict[str, Any]
    before: Point
    before_requests_per_second: float

    @property
    def spread(self) -> float:
        """Return half the interval as a share of the rate."""
        return (self.high - self.low) / 2 / self.requests_per_second if self.requests_per_second else 1.0
