"""rows -> tensors -> outputs: which rows run together, and their outputs in the rows' order.

A batch has a largest size and rows of similar length, so that one long row doesn't pad all others.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from .outputs import Array, FreeAxis, Outputs, concatenate, left_align, with_masks, with_sizes
from .runtime.session import Session
from .tasks import Hooks
from .telemetry.recorder import Recorder

# The cost of one more run, in padded positions: the intercept over the slope of a line through the times of
# 1 to 16 rows of 8 to 64 tokens, sentiment's int8 graph on one thread (0.25 ms + 0.052 ms a position).
# Splitting a batch pays when it saves more padding than this. For batches of 4 to 32 of its rows, the time changes by
# less than 1 % between 2 and 8, so it needn't be measured for each model and machine.
RUN_COST = 5


class Inference(Hooks):
    """The model between checked rows and outputs."""

    session: Session  # the session of ONNX Runtime, with the graph
    recorder: Recorder | None = None  # what records metrics, drift and the prediction log
    output_axes: tuple[FreeAxis, ...] = ()  # free axes of the graph's outputs, beside the batch
    deduplicate = True  # whether equal rows run once; off in measurements, where few rows stand for many

    def outputs(self, values: Sequence[Any]) -> Array:
        """Return the first output for some instances, shape (rows, ...)."""
        return self.every_output(values)[self.session.outputs[0]]

    def every_output(self, values: Sequence[Any]) -> Outputs:
        """Return all outputs for some instances, shapes (rows, ...); raises what `check` raises."""
        return self.infer([self.check(value, f"instances[{i}]") for i, value in enumerate(values)])

    def infer(self, rows: Sequence[Any]) -> Outputs:
        """Return every output for checked rows, shapes (rows, ...)."""
        sizes = self.sizes(rows) if self.output_axes else {}
        parts = chunks(len(rows), 1) if self._has_unknown_size(sizes) else self.parts(rows)
        if len(parts) == 1 and isinstance(parts[0], range):
            outputs = self._run_rows(rows)
            return self._join([outputs], parts, sizes) if self.output_axes else Outputs(outputs)
        return self._join([self._run_rows([rows[index] for index in part]) for part in parts], parts, sizes)

    def infer_tensors(self, tensors: dict[str, Array]) -> Outputs:
        """Return every output for rows that a client sent as the graph's inputs, where it put them."""
        sizes = self.tensor_sizes(tensors) if self.output_axes else {}
        size = 1 if self._has_unknown_size(sizes) else self.signature.max_batch
        parts = chunks(len(next(iter(tensors.values()))), size)
        outputs = [self.run({name: array[part.start : part.stop] for name, array in tensors.items()}) for part in parts]
        joined = self._join(outputs, parts, sizes)
        return with_masks(joined, self.tensor_masks(tensors)) if self.output_axes else joined

    def _run_rows(self, rows: Sequence[Any]) -> dict[str, Array]:
        """Return every output for rows that run together, each row's own elements before those of its padding."""
        outputs = self.run(self.tensors(rows))
        return (
            left_align(outputs, self.output_axes, self.sizes(rows)) if self.pads_left and self.output_axes else outputs
        )

    def _has_unknown_size(self, sizes: Mapping[str, Sequence[int]]) -> bool:
        """Return whether rows must run alone: only the graph knows how long a row's output is, say how many boxes."""
        return any(axis.name not in sizes for axis in self.output_axes)

    def _join(
        self, outputs: Sequence[dict[str, Array]], parts: Sequence[Sequence[int]], sizes: Mapping[str, Sequence[int]]
    ) -> Outputs:
        """Return the outputs of parts of rows in the order of the rows."""
        arrays = concatenate(outputs, self.output_axes)
        if not isinstance(parts[0], range):
            order = np.argsort(np.concatenate([np.asarray(part) for part in parts]))
            arrays = {name: array[order] for name, array in arrays.items()}
        if not self.output_axes:
            return Outputs(arrays)
        known = {
            name: sizes.get(name) or [part[output].shape[axis] for part in outputs]
            for output, axis, name in self.output_axes
        }
        return with_sizes(arrays, self.output_axes, known)

    def resize(self, batch: int) -> None:
        """Let `batch` rows run together instead of the signature's `max_batch`."""
        self.signature = replace(self.signature, max_batch=batch)

    def parts(self, rows: Sequence[Any]) -> Sequence[Sequence[int]]:
        """Return which rows run together: at most `max_batch`, of similar length and of one batch key."""
        size, keys = self.signature.max_batch, self.batch_keys(rows)
        if keys is not None:
            return group_by_key(keys, size)
        lengths = self.lengths(rows)
        return chunks(len(rows), size) if lengths is None else buckets(lengths, size)

    def run(self, tensors: dict[str, Array]) -> dict[str, Array]:
        """Return every output for one batch, shapes (rows, ...); identical rows are computed once."""
        unique, inverse = distinct(tensors) if self.deduplicate else (tensors, None)
        if self.recorder is not None:
            self.recorder.clock.lap("preprocess")
        outputs = self.session.run(unique)
        if self.recorder is not None:
            self.recorder.clock.lap("inference")
        return outputs if inverse is None else {name: array[inverse] for name, array in outputs.items()}


def group_by_key(keys: Sequence[Hashable], size: int) -> list[list[int]]:
    """Return groups of at most `size` indices with one key each."""
    groups: dict[Hashable, list[int]] = {}
    for index, key in enumerate(keys):
        groups.setdefault(key, []).append(index)
    return [[group[index] for index in part] for group in groups.values() for part in chunks(len(group), size)]


def chunks(count: int, size: int) -> list[range]:
    """Return consecutive ranges of at most `size` that cover 0 to `count`."""
    return [range(start, min(start + size, count)) for start in range(0, count, size)]


def buckets(lengths: Sequence[int], size: int, run_cost: int = RUN_COST) -> list[list[int]]:
    """Return groups of row indices with the least padding plus run cost, each of at most `size` rows.

    It is dynamic programming over the rows sorted by length, since an optimal grouping never interleaves lengths.
    It takes O(rows * size).
    """
    order = sorted(range(len(lengths)), key=lengths.__getitem__)
    longest = [lengths[index] for index in order]
    if not order or (len(order) <= size and len(order) * (longest[-1] - longest[0]) <= run_cost):
        return [order] if order else []
    best, cut = [0], [0]
    for stop in range(1, len(order) + 1):
        costs = [best[start] + (stop - start) * longest[stop - 1] for start in range(max(0, stop - size), stop)]
        least = min(costs)
        best.append(least + run_cost)
        cut.append(max(0, stop - size) + costs.index(least))
    groups, stop = [], len(order)
    while stop:
        groups.append(order[cut[stop] : stop])
        stop = cut[stop]
    return groups[::-1]


def distinct(arrays: Mapping[str, Array]) -> tuple[Mapping[str, Array], npt.NDArray[np.intp] | None]:
    """Return the rows that differ in at least one bit, and for each row its twin's index, shape (rows,).

    The indices are None if all rows differ. Arrays have shapes (rows, ...).
    """
    parts = list(arrays.values())
    if len(parts[0]) < 2:
        return arrays, None
    columns = [_row_keys(part) for part in parts]
    keys = columns[0] if len(columns) == 1 else list(zip(*columns, strict=True))
    places: dict[Any, int] = {}
    inverse = [places.setdefault(key, len(places)) for key in keys]
    if len(places) == len(inverse):
        return arrays, None
    first = np.fromiter((inverse.index(place) for place in range(len(places))), np.intp, len(places))
    return {name: part[first] for name, part in arrays.items()}, np.array(inverse, np.intp)


def _row_keys(part: Array) -> list[Any]:
    """Return a key per row; an array of texts has their addresses as its bytes."""
    return [tuple(row.flat) if part.dtype.kind == "O" else row.tobytes() for row in part]
