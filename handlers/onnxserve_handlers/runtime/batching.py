"""Which rows run together: at most so many, and rows of like length, so that one long row doesn't pad all."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from ..errors import InternalError, RequestError, classify, stack_of
from .gpu import leave, lost

# What one more run costs, in padded positions: the intercept over the slope of a line through the times of
# 1 to 4 rows of 8 to 64 tokens, sentiment's int8 graph on one thread (3.1 ms + 0.27 ms a position).
# Splitting pays when it saves more padding than this.
RUN_COST = 12


def chunks(count: int, size: int) -> list[range]:
    """Consecutive groups of at most `size`."""
    return [range(start, min(start + size, count)) for start in range(0, count, size)]


def buckets(lengths: Sequence[int], size: int, run_cost: int = RUN_COST) -> list[list[int]]:
    """Groups of row indices with the least padding plus run cost, each of at most `size` rows.

    Dynamic programming over the rows sorted by length: an optimal grouping never
    interleaves lengths. O(rows * size).
    """
    order = sorted(range(len(lengths)), key=lengths.__getitem__)
    longest = [lengths[index] for index in order]
    if not order or (len(order) <= size and len(order) * (longest[-1] - longest[0]) <= run_cost):
        return [order] if order else []
    best, cut = [0], [0]
    for stop in range(1, len(order) + 1):
        costs = [best[start] + (stop - start) * longest[stop - 1] for start in range(max(0, stop - size), stop)]
        least = min(costs)
        best.append(least + run_cost)
        cut.append(max(0, stop - size) + costs.index(least))
    found, stop = [], len(order)
    while stop:
        found.append(order[cut[stop] : stop])
        stop = cut[stop]
    return found[::-1]


Arrays = Mapping[str, npt.NDArray[Any]]


def distinct(arrays: Arrays) -> tuple[Arrays, npt.NDArray[np.intp] | None]:
    """Rows that differ in at least one bit, and where each row's twin stands; None when all differ."""
    parts = list(arrays.values())
    if len(parts[0]) < 2:
        return arrays, None
    columns = [[row.tobytes() for row in part] for part in parts]
    keys = columns[0] if len(columns) == 1 else list(zip(*columns, strict=True))
    places: dict[Any, int] = {}
    inverse = [places.setdefault(key, len(places)) for key in keys]
    if len(places) == len(inverse):
        return arrays, None
    first = np.fromiter((inverse.index(place) for place in range(len(places))), np.intp, len(places))
    return {name: part[first] for name, part in arrays.items()}, np.array(inverse, np.intp)


class Buffers:
    """One growing block of memory per name; what `take` gave is overwritten by the next `take` of that name."""

    def __init__(self) -> None:
        self._blocks: dict[str, npt.NDArray[Any]] = {}

    def take(self, name: str, shape: tuple[int, ...], dtype: npt.DTypeLike) -> npt.NDArray[Any]:
        """A contiguous array of this shape with whatever was left in it."""
        size = math.prod(shape)
        block = self._blocks.get(name)
        if block is None or block.size < size or block.dtype != dtype:
            block = self._blocks[name] = np.empty(size, dtype)
        return block[:size].reshape(shape)


log = logging.getLogger(__name__)
T = TypeVar("T")
R = TypeVar("R")


def guarded(work: Callable[[], R]) -> R | RequestError:
    """The result of `work`, or the error that the caller may see."""
    try:
        return work()
    except Exception as error:  # noqa: BLE001 - it is logged
        answer = classify(error)
        if isinstance(answer, InternalError):
            log.error("a row failed\n%s", stack_of(error))  # noqa: TRY400 - without the message
            if lost(error):
                leave(error)
        return answer


def isolate(groups: Sequence[T], run: Callable[[Sequence[T]], Sequence[R]]) -> list[R | RequestError]:
    """Run all groups together; a failing batch is halved until only the culprit fails.

    k culprits among n groups cost about k * log2(n) further runs, and none when
    nothing fails.
    """
    if not groups:
        return []
    if len(groups) == 1:
        result = guarded(lambda: run(groups)[0])
        return [result]
    try:
        results = list(run(groups))
        if len(results) != len(groups):
            raise ValueError(f"{len(results)} results for {len(groups)} requests")
        return list(results)
    except Exception as error:  # noqa: BLE001 - it is logged
        log.debug("batch of %d failed; halving\n%s", len(groups), stack_of(error))
    half = len(groups) // 2
    return isolate(groups[:half], run) + isolate(groups[half:], run)
