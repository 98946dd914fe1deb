"""The random number generators that a model definition or a module may draw from."""

from __future__ import annotations

import random
import sys

import numpy as np


def seed_all(seed: int) -> None:
    """Seed those of Python and numpy, and torch's where it is in use."""
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002 - the state that others draw from
    if torch := sys.modules.get("torch"):
        torch.manual_seed(seed)
