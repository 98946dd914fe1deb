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


def spread(values: Iterable[Any], count: int, most: int) -> list[Any]:
    """Return `most` of `count` values, which lie as far apart as possible, in a random order; seeded."""
    chosen = [value for number, value in enumerate(values) if number * most // count > (number - 1) * most // count]
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
