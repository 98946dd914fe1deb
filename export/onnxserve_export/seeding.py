"""The random number generators that a model definition or a module may draw from."""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np


def seed_all(seed: int) -> None:
    """Seed those of Python and numpy, and torch's where it is in use."""
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002 - the state that others draw from
    if torch := sys.modules.get("torch"):
        torch.manual_seed(seed)


@contextmanager
def generators_kept() -> Iterator[None]:
    """Restore the generators' states after the block, so that an export within a program changes none of its draws."""
    states = random.getstate(), np.random.get_state()  # noqa: NPY002 - the state that others draw from
    torch = sys.modules.get("torch")
    torch_state = torch.get_rng_state() if torch else None
    try:
        yield
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])  # noqa: NPY002 - as above
        if torch:
            torch.set_rng_state(torch_state)
