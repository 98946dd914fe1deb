"""Outputs that are no answer: a row with a number that is infinite or NaN has an error, whatever made it so."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from .errors import NotFinite
from .scores import FEW

Arrays = Mapping[str, npt.NDArray[Any]]


def unanswered(outputs: Arrays) -> list[int]:
    """Places of the rows that some output has a number for that is not finite; dimension 0 is the batch."""
    places: set[int] = set()
    for array in outputs.values():
        if array.dtype.kind == "f" and not is_finite(array):
            finite = np.isfinite(array).reshape(len(array), -1).all(axis=1)
            places.update(np.flatnonzero(~finite).tolist())
    return sorted(places)


def is_finite(array: npt.NDArray[Any]) -> bool:
    """Whether every element is; of a few, numpy's calls alone would take ten times as long."""
    if array.size <= FEW:
        return all(map(math.isfinite, array.ravel().tolist()))
    return bool(np.isfinite(array).all())


def without(outputs: Arrays, places: list[int]) -> dict[str, npt.NDArray[Any]]:
    """The other rows."""
    return {name: np.delete(array, places, axis=0) for name, array in outputs.items()}


def not_finite(place: int) -> NotFinite:
    """The error of a request's row."""
    return NotFinite(
        "the model's output is not a finite number",
        where=f"instances[{place}]",
        fix="check the row for values far outside what the model was trained on",
    )
