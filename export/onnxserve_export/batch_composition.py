"""Which rows run together in a batch: in their order, each alone, and in batches of random rows and sizes."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

ALONE = 48  # rows also run one at a time, for batch invariance
MIXED = 4 * ALONE  # rows also run in random batches
SEED = 20240229


def batches(values: Iterable[Any], size: int) -> Iterator[list[Any]]:
    """Yield consecutive groups of at most `size` values."""
    rest = iter(values)
    while group := list(islice(rest, size)):
        yield group


def spread(count: int, most: int) -> list[int]:
    """Return `most` of the numbers below `count`, which lie as far apart as possible, in a random order; seeded."""
    chosen = [number * count // most for number in range(most)] if count > most else range(count)
    return random.Random(SEED).sample(chosen, len(chosen))  # noqa: S311 - an order, not a secret


def random_batches(count: int, largest: int) -> list[list[int]]:
    """Put the numbers below `count` in random order, in batches of random sizes of at most `largest`; seeded."""
    draws = random.Random(SEED)  # noqa: S311 - an order, not a secret
    order = draws.sample(range(count), count)
    groups = []
    while order:
        size = draws.randint(min(2, largest), largest)
        groups.append(order[:size])
        order = order[size:]
    return groups
