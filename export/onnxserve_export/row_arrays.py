"""Outputs of many rows as arrays on disk, since masks of thousands of rows don't fit in memory.

An array is mapped into memory, and its file has no name any more: it goes when nobody uses the array.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Sequence
from itertools import accumulate, pairwise
from pathlib import Path

import numpy as np

from .arrays import Arrays, Axes
from .batches import Batches
from .outputs import cut


def rows_by_part(outputs: Batches, parts: Sequence[Batches], axes: Axes, folder: Path) -> list[Arrays]:
    """Return the rows of the outputs of several parts, whose batches follow each other; files lie in `folder`.

    Each row is cut to its own sizes along `axes`, and ends in zeros where others are longer.
    """
    stops = accumulate(map(len, parts), initial=outputs.start)
    whole = [Batches(outputs.path, start, stop) for start, stop in pairwise(stops)]
    return [_joined(own, part, axes, folder) for own, part in zip(whole, parts, strict=True)]


def _joined(outputs: Batches, part: Batches, axes: Axes, folder: Path) -> Arrays:
    sizes, left = part.sizes(), part.pads_left()

    def batches() -> Iterable[Arrays]:
        return (cut(batch, own, axes, pads_left=left) for batch, own in zip(outputs, sizes, strict=True))

    return on_disk(batches, folder)


def rows_at(arrays: Arrays, places: Sequence[int], folder: Path) -> Arrays:
    """Return some rows of arrays, as arrays on disk."""
    return on_disk(lambda: ({name: array[[place]] for name, array in arrays.items()} for place in places), folder)


def on_disk(batches: Callable[[], Iterable[Arrays]], folder: Path) -> Arrays:
    """Return the rows of all batches, which are read twice, one at a time."""
    shapes: dict[str, list[int]] = {}
    arrays: Arrays = {}
    dtypes: dict[str, np.dtype[np.generic]] = {}
    for batch in batches():
        for name, array in batch.items():
            known = shapes.setdefault(name, [0, *array.shape[1:]])
            shapes[name] = [known[0] + len(array), *map(max, known[1:], array.shape[1:])]
            dtypes[name] = array.dtype
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        for number, (name, shape) in enumerate(shapes.items()):
            arrays[name] = _zeros(Path(scratch) / f"{number}.npy", dtypes[name], shape)
    start = 0
    for batch in batches():
        for name, array in batch.items():
            places = (slice(start, start + len(array)), *map(slice, array.shape[1:]))
            arrays[name][places] = array
        start += len(next(iter(batch.values())))
    return arrays


def _zeros(path: Path, dtype: np.dtype[np.generic], shape: list[int]) -> np.ndarray:
    if 0 in shape:  # nothing can't be mapped
        return np.zeros(shape, dtype)
    return np.lib.format.open_memmap(path, "w+", dtype, tuple(shape))
