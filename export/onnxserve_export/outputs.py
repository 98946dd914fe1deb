"""Outputs by name, the main one first: joined over batches, cut to each row's own length, and compared."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping, Sequence
from itertools import chain

import numpy as np

from onnxserve.archive.deviation import row_slices
from onnxserve_handlers.outputs import FreeAxis, Outputs, left_align, pad, with_sizes

from .arrays import Arrays, Axes
from .deviation import batch_shift, deviation, scale_of

Shapes = Mapping[str, tuple[int, ...]]


def shapes_of(arrays: Arrays) -> Shapes:
    """Return the arrays' shapes by name."""
    return {name: array.shape for name, array in arrays.items()}


def join(batches: Iterable[Arrays]) -> Arrays:
    """Return the outputs of all batches as arrays of rows.

    Where batches have different sizes beside the rows, the shorter ones get zeros at their ends.
    """
    parts = list(batches)
    return {name: np.concatenate(pad([part[name] for part in parts])) for name in parts[0]} if parts else {}


def cut(outputs: Arrays, sizes: Mapping[str, Sequence[int]], axes: Axes, *, pads_left: bool = False) -> Arrays:
    """Return one batch's outputs with zeros beyond each row's own size, since padding has no meaning there.

    `sizes` has the rows' own sizes by the name of a free axis; it lacks the axes along which rows aren't padded. With
    `pads_left`, padding stands before a row's own elements, which are moved to the front.
    """
    if pads_left:
        flat = [FreeAxis(name, axis, axis_name) for name, free in axes.items() for axis, axis_name in free.items()]
        outputs = left_align(outputs, flat, sizes)
    cut_outputs = dict(outputs)
    for name, free in axes.items():
        array = outputs[name].copy()
        for axis, axis_name in free.items():
            if axis_name in sizes:
                places = np.moveaxis(array, axis, 1)  # a view
                places[np.arange(places.shape[1]) >= np.asarray(sizes[axis_name])[:, None]] = 0
        cut_outputs[name] = array
    return cut_outputs


def with_row_sizes(arrays: Arrays, sizes: Sequence[Mapping[str, Sequence[int]]], axes: Axes) -> Outputs:
    """Return the outputs of all batches with each row's own size along `axes`; `sizes` are those of each batch.

    There may be fewer rows than sizes. An axis along which a batch's rows aren't padded keeps the array's size.
    """
    names = {name for free in axes.values() for name in free.values()}
    known = {name for name in names if sizes and all(name in batch for batch in sizes)}
    count = len(next(iter(arrays.values()), ()))
    own = {name: list(chain.from_iterable(batch[name] for batch in sizes))[:count] for name in sorted(known)}
    free_axes = [
        FreeAxis(output, axis, name) for output, free in axes.items() for axis, name in free.items() if name in known
    ]
    return with_sizes(arrays, free_axes, own)


def free_output_axes(inputs: Sequence[Shapes], outputs: Sequence[Shapes], axes: Axes) -> tuple[Axes, Axes]:
    """Return the free axes of the outputs, and those of them that are as long as the rows of their batch.

    Both sequences have the shapes of tensors by name, one mapping for each batch.

    An axis whose size varies between batches is free. It is as long as the rows if it always has the size of a free
    axis of the inputs, whose name it gets. Others are called `<output>_<axis>`.
    """
    row_sizes = {
        axis_name: [batch[tensor][axis] for batch in inputs]
        for tensor, free in axes.items()
        for axis, axis_name in free.items()
    }
    all_free: Axes = {}
    of_rows: Axes = {}
    for name in outputs[0]:
        for axis in range(1, len(outputs[0][name])):
            sizes = [batch[name][axis] for batch in outputs]
            if len(set(sizes)) == 1:
                continue
            same = next((axis_name for axis_name, known in row_sizes.items() if known == sizes), None)
            all_free.setdefault(name, {})[axis] = same or f"{name}_{axis}"
            if same:
                of_rows.setdefault(name, {})[axis] = same
    return all_free, of_rows


def scales_of(outputs: Arrays, *, each: bool = False, free: Container[str] = ()) -> Arrays:
    """Return the unit of each output's deviations; with `each`, one for each value of a row of shape (values,).

    Outputs that `free` names have one unit each: their rows have different numbers of values.
    """
    return {
        name: scale_of(array, each=each and array.ndim == 2 and name not in free) for name, array in outputs.items()
    }


def deviations(left: Arrays, right: Arrays, scales: Arrays) -> dict[str, float]:
    """Return the largest deviation of each output in its own unit; infinite for one that is missing in `left`."""
    return {
        name: deviation(left[name], array, scales[name]) if name in left else float("inf")
        for name, array in right.items()
    }


def largest_deviation(left: Arrays, right: Arrays, scales: Arrays) -> float:
    """Return the largest deviation of all outputs, each in its own unit."""
    return max(deviations(left, right, scales).values(), default=0.0)


def largest_shift(together: Arrays, alone: Arrays, mixed: Arrays, mixed_rows: Sequence[int], scales: Arrays) -> float:
    """Return how far any output of a row moves with the other rows of its batch, each in its own unit."""
    shifts = []
    for name in together:
        rows, rows_alone, rows_mixed = pad([together[name], alone[name], mixed[name]])
        shifts.append(batch_shift(rows, rows_alone, rows_mixed, mixed_rows, scales[name]))
    return max(shifts)


def all_finite(outputs: Arrays) -> bool:
    """Return whether every number of every output is finite."""
    return all(bool(np.isfinite(array[rows]).all()) for array in outputs.values() for rows in row_slices(array))
