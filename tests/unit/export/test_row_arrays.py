"""Outputs of many rows lie on disk, and in memory one batch at a time."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator

import numpy as np

from onnxserve.archive import deviation
from onnxserve_export.arrays import Arrays
from onnxserve_export.batches import write_batches
from onnxserve_export.outputs import all_finite, largest_deviation
from onnxserve_export.row_arrays import on_disk, rows_by_part

ROWS, SIDE = 64, 256
WHOLE = ROWS * SIDE * SIDE * 4  # bytes


def masks(value: float = 0.0) -> Iterator[Arrays]:
    for number in range(ROWS):
        yield {"mask": np.full((1, SIDE, SIDE), number + value, np.float32)}


def test_masks_of_many_rows_are_joined_and_compared_without_being_in_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(deviation, "CHUNK", 2**16)
    tracemalloc.start()
    source, other = on_disk(masks, tmp_path), on_disk(lambda: masks(0.5), tmp_path)
    assert all_finite(other)
    assert largest_deviation(other, source, {"mask": np.ones(1)}) == 0.5
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert source["mask"].shape == (ROWS, SIDE, SIDE)
    assert source["mask"][7].max() == 7
    assert most < WHOLE / 2
    assert not list(tmp_path.iterdir())  # the files go with the arrays


def test_shorter_rows_end_in_zeros_and_parts_follow_each_other(tmp_path):
    batches: list[Arrays] = [
        {"tags": np.ones((2, 3), np.int64)},
        {"tags": np.ones((1, 5), np.int64)},
        {"tags": np.ones((2, 0))},
    ]
    written = write_batches(batches, tmp_path / "outputs.npz")
    inputs = write_batches(
        [{"ids": np.ones((2, 1))}, {"ids": np.ones((1, 1))}, {"ids": np.ones((2, 1))}], tmp_path / "i"
    )
    parts = [type(inputs)(inputs.path, start, stop) for start, stop in ((0, 2), (2, 2), (2, 3))]
    first, nothing, empty = rows_by_part(written, parts, {}, tmp_path)
    assert first["tags"].tolist() == [[1, 1, 1, 0, 0], [1, 1, 1, 0, 0], [1, 1, 1, 1, 1]]
    assert nothing == {}
    assert empty["tags"].shape == (2, 0)
