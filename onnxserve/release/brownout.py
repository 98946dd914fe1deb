"""The ladder of what is given up when a model is too busy, one rung at a time, and given back one at a time."""

from __future__ import annotations

from dataclasses import dataclass

from onnxserve.gateway.pressure import Pressure

# What each level gives up; beyond the last, requests answer 429 by the limit on those under way.
LEVELS = ("nothing", "shadow", "fresh answers", "the larger version")
BUSY, CALM = 0.8, 0.4  # of the requests that may be under way
UP_AFTER, DOWN_AFTER = 3, 15  # looks, one a second


@dataclass
class Rung:
    """One model's way on the ladder."""

    busy: int = 0
    calm: int = 0
    refused: int = -1

    def next(self, level: int, now: Pressure) -> int:
        """The level after one more look."""
        refusing = now.refused > self.refused >= 0
        self.refused = now.refused
        self.busy = self.busy + 1 if now.share >= BUSY or refusing else 0
        self.calm = self.calm + 1 if now.share <= CALM and not refusing else 0
        if self.busy >= UP_AFTER and level + 1 < len(LEVELS):
            self.busy = 0
            return level + 1
        if self.calm >= DOWN_AFTER and level:
            self.calm = 0
            return level - 1
        return level
