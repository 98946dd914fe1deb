"""Bounds that hold at every moment at once, so that looking after each request costs nothing.

The confidence sequence is the predictable plug-in empirical Bernstein one of I. Waudby-Smith and A. Ramdas, "Estimating
means of bounded random variables by betting", J. R. Statist. Soc. B 86 (2024), theorem 2.
"""

from __future__ import annotations

import math

import msgspec

MOST_BET = 0.5  # the paper's c


class Bounds(msgspec.Struct):
    """A two-sided confidence sequence for the mean of values from 0 to 1.

    With probability 1 - alpha the mean lies between `low` and `high` after every value, however long one looks, if each
    value has that mean given those before it.
    """

    alpha: float
    count: int = 0
    total: float = 0.0
    spread: float = 0.0  # sum of squared distances from the mean so far
    weights: float = 0.0
    weighted: float = 0.0
    slack: float = 0.0
    low: float = 0.0
    high: float = 1.0

    def add(self, value: float) -> None:
        """Take one value into account."""
        before = (0.5 + self.total) / (self.count + 1)
        variance = (0.25 + self.spread) / (self.count + 1)
        self.count += 1
        log_alpha = math.log(2 / self.alpha)
        bet = min(MOST_BET, math.sqrt(2 * log_alpha / (variance * self.count * math.log1p(self.count))))
        self.weights += bet
        self.weighted += bet * value
        self.slack += (value - before) ** 2 * (-math.log1p(-bet) - bet)
        self.total += value
        self.spread += (value - (0.5 + self.total) / (self.count + 1)) ** 2
        middle, half = self.weighted / self.weights, (log_alpha + self.slack) / self.weights
        # Bounds that held before still hold.
        self.low, self.high = max(self.low, middle - half), min(self.high, middle + half)

    @property
    def mean(self) -> float:
        """The plain mean of the values."""
        return self.total / self.count if self.count else 0.0
