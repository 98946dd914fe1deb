"""Which rows run together: in their order, alone, and in random company."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

ALONE = 48  # rows also run one at a time, for batch invariance
MIXED = 4 * ALONE  # rows also run in random company
SEED = 20240229


def batches(values: Iterable[Any], size: int) -> Iterator[list[Any]]:
    """Consecutive groups of at most `size`."""
    rest = iter(values)
    while group := list(islice(rest, size)):
        yield group


def random_batches(count: int, largest: int) -> list[list[int]]:
    """The numbers 0 to `count` in random order and in batches of random sizes; seeded."""
    draws = random.Random(SEED)  # noqa: S311 - an order, not a secret
    order = draws.sample(range(count), count)
    found = []
    while order:
        size = draws.randint(min(2, largest), largest)
        found.append(order[:size])
        order = order[size:]
    return found
