"""Some rows of a part on their way through: what was read, and what could not be."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa


class Fault(msgspec.Struct, frozen=True):
    """Why a row has no prediction; kinds are those of the handlers' errors."""

    type: str
    reason: str
    where: str = ""


class Chunk(NamedTuple):
    """`places` are the rows that could be read; `columns` or `values` hold those, in that order."""

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


def whole(count: int) -> npt.NDArray[np.intp]:
    """Every place: nothing was unreadable."""
    return np.arange(count, dtype=np.intp)
