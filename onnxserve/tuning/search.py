"""The search for the highest rate inside the objective, and its confidence interval."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable

from .point import Sample

LOWEST = 10  # the search begins at a tenth of what the server can take at all
TRIES = 2
HALVINGS = 6  # of that gap on a logarithmic scale: to within 4 %
# Student's t, two-sided 95 %, by rounds - 1; W. Gosset, Biometrika 6 (1908).
T95 = {1: 12.71, 2: 4.30, 3: 3.18, 4: 2.78, 5: 2.57, 6: 2.45, 7: 2.36}


def highest_rate(offer: Callable[[float], Sample], ceiling: float, p99_ms: float) -> tuple[float, list[Sample]]:
    """Return the highest rate inside the objective below `ceiling`, requests/s, and all runs; 0 if none is.

    Bisection on a logarithmic scale, since what breaks grows with the rate.
    """
    runs: list[Sample] = []

    def holds(rate: float) -> bool:
        # Once more when it breaks: a passing disturbance must not decide.
        for _ in range(TRIES):
            runs.append(offer(rate))
            if runs[-1].holds(p99_ms):
                return True
        return False

    good, bad = ceiling / LOWEST, ceiling
    while not holds(good):
        good, bad = good / LOWEST, good
        if good < ceiling / LOWEST**3:
            return 0.0, runs
    for _ in range(HALVINGS):
        middle = math.sqrt(good * bad)
        good, bad = (middle, bad) if holds(middle) else (good, middle)
    return max(run.answered for run in runs if run.holds(p99_ms)), runs


def interval(rates: list[float]) -> tuple[float, float, float]:
    """Return the mean of the rounds and its 95 % confidence interval, by Student's t."""
    mean = statistics.fmean(rates)
    if len(rates) < 2:
        return mean, 0.0, math.inf
    half = T95[min(len(rates) - 1, max(T95))] * statistics.stdev(rates) / math.sqrt(len(rates))
    return mean, max(0.0, mean - half), mean + half
