"""Which rows run together, and how one row's error stays its own.

A batch has a largest size and rows of similar length, so that one long row doesn't pad all others.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from ..errors import InternalError, RequestError, classify, stack_of
from .gpu import exit_soon, is_gpu_failure

# The cost of one more run, in padded positions: the intercept over the slope of a line through the times of
# 1 to 16 rows of 8 to 64 tokens, sentiment's int8 graph on one thread (0.25 ms + 0.052 ms a position).
# Splitting a batch pays when it saves more padding than this. For batches of 4 to 32 of its rows, the time changes by
# less than 1 % between 2 and 8, so it needn't be measured for each model and machine.
RUN_COST = 5


def chunks(count: int, size: int) -> list[range]:
    """Return consecutive ranges of at most `size` that cover 0 to `count`."""
    return [range(start, min(start + size, count)) for start in range(0, count, size)]


def buckets(lengths: Sequence[int], size: int, run_cost: int = RUN_COST) -> list[list[int]]:
    """Return groups of row indices with the least padding plus run cost, each of at most `size` rows.

    It is dynamic programming over the rows sorted by length, since an optimal grouping never interleaves lengths.
    It takes O(rows * size).
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
    groups, stop = [], len(order)
    while stop:
        groups.append(order[cut[stop] : stop])
        stop = cut[stop]
    return groups[::-1]


Arrays = Mapping[str, npt.NDArray[Any]]


def distinct(arrays: Arrays) -> tuple[Arrays, npt.NDArray[np.intp] | None]:
    """Return the rows that differ in at least one bit, and for each row the index of its twin, None if all differ."""
    parts = list(arrays.values())
    if len(parts[0]) < 2:
        return arrays, None
    columns = [_row_keys(part) for part in parts]
    keys = columns[0] if len(columns) == 1 else list(zip(*columns, strict=True))
    places: dict[Any, int] = {}
    inverse = [places.setdefault(key, len(places)) for key in keys]
    if len(places) == len(inverse):
        return arrays, None
    first = np.fromiter((inverse.index(place) for place in range(len(places))), np.intp, len(places))
    return {name: part[first] for name, part in arrays.items()}, np.array(inverse, np.intp)


def _row_keys(part: npt.NDArray[Any]) -> list[Any]:
    """Return a key per row; an array of texts has their addresses as its bytes."""
    return [tuple(row.flat) if part.dtype.kind == "O" else row.tobytes() for row in part]


class Buffers:
    """One growing block of memory per name; the next `take` of a name overwrites the array of the previous one."""

    def __init__(self) -> None:
        self._blocks: dict[str, npt.NDArray[Any]] = {}

    def take(self, name: str, shape: tuple[int, ...], dtype: npt.DTypeLike) -> npt.NDArray[Any]:
        """Return a contiguous array of this shape, with old values in it."""
        size = math.prod(shape)
        block = self._blocks.get(name)
        if block is None or block.size < size or block.dtype != dtype:
            block = self._blocks[name] = np.empty(size, dtype)
        return block[:size].reshape(shape)


log = logging.getLogger(__name__)
T = TypeVar("T")
R = TypeVar("R")


def guard(work: Callable[[], R]) -> R | RequestError:
    """Return the result of `work`, or the error that the client may see for whatever it raised."""
    try:
        return work()
    except Exception as error:  # noqa: BLE001 - it is logged
        shown = classify(error)
        if isinstance(shown, InternalError):
            log.error("a row failed\n%s", stack_of(error))  # noqa: TRY400 - without the message
            if is_gpu_failure(error):
                exit_soon(error)
        return shown


def isolate(groups: Sequence[T], run: Callable[[Sequence[T]], Sequence[R]]) -> list[R | RequestError]:
    """Run all groups together, and halve a batch that fails until only the culprits fail.

    k culprits among n groups cost about k * log2(n) further runs; without a culprit there is only one run.
    """
    if not groups:
        return []
    if len(groups) == 1:
        return [guard(lambda: run(groups)[0])]
    try:
        results = list(run(groups))
        if len(results) != len(groups):
            raise ValueError(f"{len(results)} results for {len(groups)} requests")
        return list(results)
    except Exception as error:  # noqa: BLE001 - it is logged
        log.debug("batch of %d failed; halving\n%s", len(groups), stack_of(error))
    half = len(groups) // 2
    return isolate(groups[:half], run) + isolate(groups[half:], run)
