"""Batches of tensors on disk, read one at a time, and the sizes of their rows before padding."""

from __future__ import annotations

import tempfile
import zipfile
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from .arrays import Arrays
from .graph_process import read_batches

SUFFIX = ".npy"
SIZES = "sizes"
ORIGINS = "origins"
PADS_LEFT = "pads_left"


class Batches:
    """Batches `start` to `stop` of an .npz file whose members are named `<number>/<tensor>`.

    `sizes/<number>/<axis>` has the rows' own sizes of a free axis along which a batch's rows are padded, and
    `origins/<number>` a JSON list of the rows' origins where the input kind has any.
    """

    def __init__(self, path: Path, start: int, stop: int) -> None:
        self.path = path
        self.start = start
        self.stop = stop

    def __len__(self) -> int:
        return self.stop - self.start

    def __iter__(self) -> Iterator[Arrays]:
        return read_batches(str(self.path), self.start, self.stop)

    def first(self, count: int) -> Batches:
        """Return at most the first `count` batches."""
        return Batches(self.path, self.start, min(self.stop, self.start + count))

    def first_batch(self) -> Arrays:
        """Return the first batch."""
        return next(iter(self))

    def origins(self) -> list[Any] | None:
        """Return the origins of all rows, as JSON values; None where the input kind has none."""
        with np.load(self.path) as arrays:
            keys = [f"{ORIGINS}/{number}" for number in range(self.start, self.stop)]
            if not keys or keys[0] not in arrays:
                return None
            return list(chain.from_iterable(msgspec.json.decode(arrays[key].tobytes()) for key in keys))

    def pads_left(self) -> bool:
        """Return whether a shorter row's padding stands before it."""
        with np.load(self.path) as arrays:
            return PADS_LEFT in arrays and msgspec.json.decode(arrays[PADS_LEFT].tobytes(), type=bool)

    def sizes(self) -> list[dict[str, list[int]]]:
        """Return the own sizes of each batch's rows, by the names of the free axes along which rows are padded."""
        with np.load(self.path) as arrays:
            sizes: dict[str, dict[str, list[int]]] = {}
            for key in arrays.files:
                kind, _, rest = key.partition("/")
                number, _, axis = rest.partition("/")
                if kind == SIZES:
                    sizes.setdefault(number, {})[axis] = arrays[key].tolist()
        return [sizes.get(str(number), {}) for number in range(self.start, self.stop)]


def write_batches(batches: Iterable[Arrays], path: Path) -> Batches:
    """Write batches to disk, one after the other."""
    count = 0
    with zipfile.ZipFile(path, "w") as archive:
        for arrays in batches:
            for name, array in arrays.items():
                with archive.open(f"{count}/{name}{SUFFIX}", "w", force_zip64=True) as stream:
                    np.lib.format.write_array(stream, np.ascontiguousarray(array), allow_pickle=False)
            count += 1
    return Batches(path, 0, count)


def ensure_on_disk(batches: Batches | Iterable[Arrays], folder: Path) -> Batches:
    """Return batches that are on disk as they are; write others to a file in `folder`."""
    if isinstance(batches, Batches):
        return batches
    with tempfile.NamedTemporaryFile(suffix=".npz", dir=folder, delete=False) as file:
        return write_batches(batches, Path(file.name))


def rows_of(arrays: Arrays) -> int:
    """Return the number of rows in one batch."""
    return len(next(iter(arrays.values())))
