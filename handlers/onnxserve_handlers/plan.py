"""Which rows run together: at most so many, and rows of like length, so that one long row doesn't pad all."""

from __future__ import annotations

from collections.abc import Sequence

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
