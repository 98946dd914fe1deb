"""A chunk: some rows of a part that are read and scored together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa


class Fault(msgspec.Struct, frozen=True):
    """The reason why a row has no prediction; types are those of the handlers' errors."""

    type: str
    reason: str
    where: str = ""


class Chunk(NamedTuple):
    """Rows of a part.

    `places`, shape (readable rows,), are the rows that could be read, counted from the chunk's first row. `columns`,
    one array of that shape a column, or `values` hold them in this order.
    """

    first: int  # number of its first row in the source
    size: int
    places: npt.NDArray[np.intp]
    columns: dict[str, npt.NDArray[Any]] | None
    values: Sequence[Any] | None
    kept: pa.Table | None  # `size` rows
    faults: dict[int, Fault]
    position: Callable[[int], str]  # of a row in its source, for a person
    raw: Callable[[int], str]  # a row as it was
    keys: pa.Table | None = None  # `size` rows, for a feature store


def all_places(count: int) -> npt.NDArray[np.intp]:
    """Return the places of `count` rows that could all be read."""
    return np.arange(count, dtype=np.intp)
