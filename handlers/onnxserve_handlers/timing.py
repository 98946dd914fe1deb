"""How long a handler takes, by threads, batch size and length of the rows."""

from __future__ import annotations

import statistics
import time
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from .handler import Handler

Loaded = tuple[Handler, Any]
ROUNDS = 7
LENGTHS = 3  # groups of golden rows from short to long


def measure(instances: Sequence[Any], handlers: Mapping[int, Loaded], batches: Sequence[int]) -> list[dict[str, Any]]:
    """Return the median milliseconds of `handle` for each number of threads, batch size and length of the bodies.

    `handlers` are loaded ones and their contexts, by their number of threads. All settings take turns, so that a
    disturbance affects them alike.
    """
    bodies = sorted((msgspec.json.encode({"instances": [instance]}) for instance in instances), key=len)
    third = max(1, len(bodies) // LENGTHS)
    groups = [bodies[:third], bodies[-third:]] if len(bodies) > 1 else [bodies]
    for handler, _ in handlers.values():
        handler.deduplicate = False  # the few golden rows are repeated in place of rows that differ
    samples: dict[tuple[int, int, int], list[float]] = {}
    for round_ in range(ROUNDS + 1):
        for count, (handler, context) in handlers.items():
            for size in batches:
                for number, group in enumerate(groups):
                    data = [{"body": group[index % len(group)]} for index in range(size)]
                    context.headers = [{"Content-Type": "application/json"}] * size
                    start = time.perf_counter()
                    handler.handle(data, context)
                    milliseconds = (time.perf_counter() - start) * 1000
                    if round_:  # the first round is warm-up
                        samples.setdefault((count, size, number), []).append(milliseconds)
    return [
        {"threads": t, "batch": b, "length": sum(map(len, groups[g])) // len(groups[g]), "ms": statistics.median(times)}
        for (t, b, g), times in samples.items()
    ]
