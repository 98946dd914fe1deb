"""The noise of this machine, which may be too high for measurements."""

from __future__ import annotations

import statistics
import time

QUIET = 0.15  # half an interval, as a share of the rate
PROBES = 30
WORK = 20_000


def unsteadiness() -> float:
    """Return the spread of the time of a fixed piece of work: interquartile range over the median."""
    times = []
    for _ in range(PROBES):
        start = time.perf_counter()
        sum(range(WORK * 10))
        times.append(time.perf_counter() - start)
    low, median, high = statistics.quantiles(times, n=4)
    return (high - low) / median
