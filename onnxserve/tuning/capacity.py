"""The number of servers for a load: a simulation of one server's queue with measured times.

Requests come at random (Poisson). A free worker takes what waits, up to its batch, as the plugin makes TorchServe do;
a batch of b rows takes t(b), between measured sizes on a line. The frontend, the gateway and the network are not in it:
a share of the CPUs is left to them.
"""

from __future__ import annotations

import heapq
import itertools
import math
import random
from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from .times import Timing, batch_ms

REQUESTS, SEED = 20_000, 20240229
SETTLE = 0.1  # of the requests are not counted: the queue fills meanwhile
STEPS = 14  # halvings of the interval that the rate lies in
HEADROOM = 0.7  # of a server's most: for a server that is away, and for rows longer than those measured


@dataclass(frozen=True)
class ServiceTimes:
    """Seconds of a batch by its size, interpolated between measured sizes."""

    sizes: tuple[int, ...]
    seconds: tuple[float, ...]

    def __call__(self, rows: int) -> float:
        """Return the seconds of a batch of `rows`."""
        return float(np.interp(rows, self.sizes, self.seconds))


def service_times(times: Sequence[Timing], threads: int) -> ServiceTimes:
    """Interpolate between the times that were measured with `threads`."""
    sizes = sorted({timing.batch for timing in times if timing.threads == threads})
    return ServiceTimes(tuple(sizes), tuple(batch_ms(list(times), threads, size) / 1e3 for size in sizes))


@dataclass(frozen=True)
class Plan:
    """Highest rate of a server, requests/s, its p99 and its workers' busy share then, and the servers needed."""

    most: float
    p99_ms: float
    busy: float
    servers: int


def simulate(rate: float, service: Callable[[int], float], workers: int, batch: int) -> tuple[float, float]:
    """Simulate `rate` requests/s; return (p99 in seconds, busy share of the workers' time)."""
    draws = random.Random(SEED)  # noqa: S311 - the same arrivals for every rate, only faster
    arrivals = list(itertools.accumulate(draws.expovariate(rate) for _ in range(REQUESTS)))
    free = [0.0] * workers
    waits: list[float] = []
    busy, next_one = 0.0, 0
    while next_one < REQUESTS:
        start = max(heapq.heappop(free), arrivals[next_one])
        there = bisect_left(arrivals, start, next_one) if arrivals[next_one] < start else next_one + 1
        stop = min(max(there, next_one + 1), next_one + batch)
        end = start + service(stop - next_one)
        waits += [end - arrivals[at] for at in range(next_one, stop)]
        busy += end - start
        heapq.heappush(free, end)
        next_one = stop
    counted = waits[int(SETTLE * REQUESTS) :]
    return float(np.quantile(counted, 0.99)), busy / workers / max(free)


def highest_rate(service: Callable[[int], float], workers: int, batch: int, p99_s: float) -> tuple[float, float, float]:
    """Return (rate, p99 in seconds, busy share) of the highest rate that keeps p99; rate 0 if none does."""
    low, high = 0.0, workers * batch / service(batch)
    best = (0.0, service(1), 0.0)
    for _ in range(STEPS):
        rate = (low + high) / 2
        p99, busy = simulate(rate, service, workers, batch)
        if p99 <= p99_s:
            low, best = rate, (rate, p99, busy)
        else:
            high = rate
    return best


def plan(rate: float, service: Callable[[int], float], workers: int, batch: int, p99_s: float) -> Plan:
    """Calculate the servers for `rate` requests/s."""
    highest, p99, busy = highest_rate(service, workers, batch, p99_s)
    servers = math.ceil(rate / (HEADROOM * highest)) if highest else 0
    return Plan(highest, p99 * 1e3, busy, servers)
