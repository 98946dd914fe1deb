"""Blocks of answers that two versions gave at the same time, collected until they can be compared."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

import numpy as np

from .measures import LOADED, MEASURES, Value, difference, largest_difference, measure_answer, slow_answers
from .observations import Observation

MOST = 4096  # values kept for a version; beyond that every second value is dropped

Kept = TypeVar("Kept")


@dataclass(frozen=True)
class BlockResult:
    """One measure of one block, which has equally many answers of both versions.

    `difference` is the canary's value minus the stable version's, in standard errors. `stable` and `canary` are sums
    over `answers` answers each. A label is compared by the share of the answers that have it.
    """

    measure: str
    difference: float
    answers: int
    stable: float
    canary: float
    label: str = ""


@dataclass
class Block:
    """Values of one measure in the order of the answers: those of the stable version and those of the canary."""

    values: tuple[list[Value], list[Value]] = field(default_factory=lambda: ([], []))
    count: int = 0

    def add(self, value: Value, *, canary: bool) -> None:
        """Add the value of one answer."""
        self.count += 1
        side = self.values[canary]
        side.append(value)
        if len(side) > MOST:
            del side[::2]

    def is_ready(self, least: float) -> bool:
        """Return whether both versions have answered, with at least `least` answers together."""
        return all(self.values) and self.count >= least

    def samples(self) -> tuple[list[Value], list[Value]]:
        """Return equally many values of each version, spread evenly over the block."""
        size = min(map(len, self.values))
        return spread(self.values[0], size), spread(self.values[1], size)


class PairedBlocks:
    """The current block of each measure."""

    def __init__(self) -> None:
        self._blocks = {measure: Block() for measure in MEASURES}

    def see(self, answer: Observation, *, canary: bool) -> None:
        """Add one answer to the blocks."""
        for measure, value in measure_answer(answer):
            self._blocks[measure].add(value, canary=canary)

    def compare(self, least: float) -> list[BlockResult]:
        """Compare and close the blocks that are ready; measures that load makes worse need `least` answers."""
        results = []
        for measure, block in self._blocks.items():
            if block.is_ready(least if measure in LOADED else 0):
                results += compare(measure, *block.samples())
                self._blocks[measure] = Block()
        return results


def spread(values: list[Kept], size: int) -> list[Kept]:
    """Return `size` of the values, at even distances."""
    return [values[(2 * index + 1) * len(values) // (2 * size)] for index in range(size)]


def compare(measure: str, stable: list[Value], canary: list[Value]) -> list[BlockResult]:
    """Compare two samples of equal size; a label gives one result for each of its values."""
    if measure == "label":
        labels = sorted({*map(str, stable), *map(str, canary)})
        return [_result(measure, [v == name for v in stable], [v == name for v in canary], name) for name in labels]
    if measure == "score":
        return [_score_result([_numbers(value) for value in stable], [_numbers(value) for value in canary])]
    return [_result(measure, stable, canary)]


def _numbers(value: Value) -> tuple[float, ...]:
    """Return a score, and the values of a regression behind it."""
    return value if isinstance(value, tuple) else (float(value),)


def _score_result(stable: list[tuple[float, ...]], canary: list[tuple[float, ...]]) -> BlockResult:
    """Compare scores; of a regression the value that differs most, if all answers have equally many."""
    widths = {len(values) for values in (*stable, *canary)}
    result = _result("score", [values[0] for values in stable], [values[0] for values in canary])
    if len(widths) > 1 or widths == {1}:
        return result
    return replace(result, difference=largest_difference(np.array(stable)[:, 1:], np.array(canary)[:, 1:]))


def _result(measure: str, stable: Sequence[Value], canary: Sequence[Value], label: str = "") -> BlockResult:
    before, after = np.array(stable, dtype=float), np.array(canary, dtype=float)
    if measure == "slow":
        before, after = slow_answers(before, after)
    contrast = difference(measure, before, after)
    return BlockResult(measure, contrast, len(before), float(before.sum()), float(after.sum()), label)
