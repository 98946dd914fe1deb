"""Identical rows of a batch are computed once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

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
