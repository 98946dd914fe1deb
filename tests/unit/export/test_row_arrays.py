"""Outputs of many rows lie on disk, and in memory one batch at a time."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator
from functools import partial

import numpy as np
import numpy.ma  # np.median imports it at its first call, which would count as the rows' memory

from onnxserve.archive import deviation
from onnxserve_export.arrays import Arrays
from onnxserve_export.batches import write_batches
from onnxserve_export.outputs import all_finite, largest_deviation
from onnxserve_export.parity import compare
from onnxserve_export.row_arrays import on_disk, rows_by_part
from onnxserve_export.typical_spread import row_units
from onnxserve_handlers.outputs import Outputs
from onnxserve_handlers.tasks import Flags

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


def test_rows_are_compared_by_parity_a_few_at_a_time(tmp_path, monkeypatch):
    monkeypatch.setattr(deviation, "CHUNK", 2**16)
    source, near, other = (Outputs(on_disk(partial(masks, value), tmp_path)) for value in (0.0, 1e-4, 0.5))
    counts: list[int] = []

    def changes(outputs: Outputs, reference: Outputs) -> Flags:
        counts.append(len(outputs["mask"]))
        return np.asarray(outputs["mask"][:, 0, 0] != reference["mask"][:, 0, 0])

    tracemalloc.start()
    units = {"mask": row_units(source["mask"], np.ones(1), source["mask"])}
    unequal, equal = (compare("certify", source, outputs, units, changes) for outputs in (other, near))
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert unequal.deviations.tolist() == [0.5] * ROWS
    assert equal.changed.tolist() == (near["mask"][:, 0, 0] != source["mask"][:, 0, 0]).tolist()
    assert counts == [1] * 2 * ROWS
    assert most < WHOLE / 2


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
