"""Answers of two versions at the same time, until there are enough of them to compare."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np

from onnxserve.gateway.observations import Observation

from .measures import LOADED, MEASURES, difference, measured, slower

MOST = 4096  # values kept of a version; of more, every second one is kept

Value = TypeVar("Value")


@dataclass(frozen=True)
class BlockResult:
    """One measure of one block: as many answers of one version as of the other.

    `difference` is the canary's minus the stable version's in standard errors; `stable` and `canary` are sums. A label
    is compared as the share of the answers that have it.
    """

    measure: str
    difference: float
    answers: int
    stable: float
    canary: float
    label: str = ""


@dataclass
class Block:
    """Values of one measure, in the order of the answers: of the stable version, of the canary."""

    values: tuple[list[float | str], list[float | str]] = field(default_factory=lambda: ([], []))
    count: int = 0

    def add(self, value: float | str, *, canary: bool) -> None:
        """One answer more."""
        self.count += 1
        side = self.values[canary]
        side.append(value)
        if len(side) > MOST:
            del side[::2]

    def is_ready(self, least: float) -> bool:
        """Whether both versions have answered, and there are `least` answers."""
        return all(self.values) and self.count >= least

    def samples(self) -> tuple[list[float | str], list[float | str]]:
        """As many values of each, spread evenly over the block."""
        size = min(map(len, self.values))
        return spread(self.values[0], size), spread(self.values[1], size)


class PairedBlocks:
    """One block a measure."""

    def __init__(self) -> None:
        self._blocks = {measure: Block() for measure in MEASURES}

    def see(self, answer: Observation, *, canary: bool) -> None:
        """Take one answer into account."""
        for measure, value in measured(answer):
            self._blocks[measure].add(value, canary=canary)

    def compare(self, least: float) -> list[BlockResult]:
        """Close the blocks that are ready; those that load makes worse need `least` answers."""
        comparisons = []
        for measure, block in self._blocks.items():
            if block.is_ready(least if measure in LOADED else 0):
                comparisons += compare(measure, *block.samples())
                self._blocks[measure] = Block()
        return comparisons


def spread(values: list[Value], size: int) -> list[Value]:
    """So many of the values, at even distances."""
    return [values[(2 * index + 1) * len(values) // (2 * size)] for index in range(size)]


def compare(measure: str, stable: list[float | str], canary: list[float | str]) -> list[BlockResult]:
    """Compare samples of one size."""
    if measure == "label":
        labels = sorted({*map(str, stable), *map(str, canary)})
        return [_compared(measure, [v == name for v in stable], [v == name for v in canary], name) for name in labels]
    return [_compared(measure, stable, canary)]


def _compared(
    measure: str, stable: list[float | str] | list[bool], canary: list[float | str] | list[bool], label: str = ""
) -> BlockResult:
    before, after = np.array(stable, dtype=float), np.array(canary, dtype=float)
    if measure == "slow":
        before, after = slower(before, after)
    contrast = difference(measure, before, after)
    return BlockResult(measure, contrast, len(before), float(before.sum()), float(after.sum()), label)
