"""tensors -> outputs: what the graph gave for some rows, as arrays whose dimension 0 is the batch.

Free axes beside the batch, such as tags a token, have another size for each row. Rows that ran in different parts are
then padded with zeros to one array, and a request gets its own rows' sizes: no answer depends on a neighbour. A client
that sends tensors may pad them anywhere; its outputs stay where it put the inputs, and tasks read `Outputs.own`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from .errors import NotFinite
from .signature import Tensor

Array = npt.NDArray[Any]
Flags = npt.NDArray[np.bool_]
Sizes = Mapping[str, Sequence[int]]
FEW = 32  # elements: a loop over so few is faster than numpy's calls


class FreeAxis(NamedTuple):
    """An axis of an output, beside the batch, whose size the graph leaves open."""

    output: str
    axis: int
    name: str


class Outputs(dict[str, Array]):
    """Arrays of shape (rows, ...) by name, in the graph's order.

    `sizes` has each row's own size along the free axes beside the batch, by the axis's name; elements beyond it are
    zero. It is empty for most graphs. `masks` says the same of tensors that a client padded itself: which elements of
    an axis are a row's own, shape (rows, size), wherever they stand.
    """

    sizes: Mapping[str, npt.NDArray[np.intp]] = {}
    masks: Mapping[str, Flags] = {}
    axes: tuple[FreeAxis, ...] = ()

    def take(self, rows: slice | npt.NDArray[Any]) -> Outputs:
        """Return some rows, cut to the largest of their own sizes; a client's padding stays."""
        if not self.axes:
            return Outputs({name: array[rows] for name, array in self.items()})
        taken = with_sizes(
            {name: array[rows] for name, array in self.items()},
            self.axes,
            {name: sizes[rows] for name, sizes in self.sizes.items()},
        )
        taken.masks = {name: mask[rows] for name, mask in self.masks.items()}
        return taken

    def own(self) -> Outputs:
        """Return the outputs as tasks read them: each row's own elements come first, and only they have a size."""
        if not self.masks:
            return self
        arrays = dict(self)
        for output, axis, name in self.axes:
            if name in self.masks:
                order = np.argsort(~self.masks[name], axis=1, kind="stable")
                arrays[output] = reordered(self[output], axis, order)
        counts = {name: mask.sum(axis=1) for name, mask in self.masks.items()}
        return with_sizes(arrays, self.axes, {**self.sizes, **counts})

    def replace(self, arrays: Mapping[str, Array]) -> Outputs:
        """Return the outputs with other arrays in place of some, of the same shapes."""
        replaced = Outputs({**self, **arrays})  # the order of the graph's outputs stays
        replaced.axes, replaced.sizes, replaced.masks = self.axes, self.sizes, self.masks
        return replaced

    def row(self, index: int) -> dict[str, Array]:
        """Return one row's outputs, each of its own size and without the batch's dimension."""
        arrays = {name: array[index] for name, array in self.items()}
        for output, axis, name in self.axes:
            if name in self.sizes:
                own = slice(int(self.sizes[name][index]))
                arrays[output] = arrays[output][(slice(None),) * (axis - 1) + (own,)]
        return arrays


def free_axes(tensors: Sequence[Tensor]) -> tuple[FreeAxis, ...]:
    """Return the free axes beside the batch of a graph's outputs."""
    return tuple(
        FreeAxis(tensor.name, axis, size)
        for tensor in tensors
        for axis, size in enumerate(tensor.shape)
        if axis and isinstance(size, str)
    )


def with_sizes(arrays: Mapping[str, Array], axes: Sequence[FreeAxis], sizes: Mapping[str, Any]) -> Outputs:
    """Return outputs with each row's own sizes: arrays are cut to the largest, and zero beyond a row's own.

    An axis without sizes keeps its array's.
    """
    outputs = Outputs(arrays)
    outputs.axes = tuple(axes)
    outputs.sizes = {name: np.asarray(values, np.intp) for name, values in sizes.items()}
    for output, axis, name in axes:
        if name not in outputs.sizes:
            continue
        own, array = outputs.sizes[name], outputs[output]
        largest = int(own.max(initial=0))
        array = array[(slice(None),) * axis + (slice(largest),)]
        if (own < largest).any():
            inside = np.arange(array.shape[axis]) < own[:, None]  # (rows, size)
            array = where_own(array, axis, inside)
        outputs[output] = array
    return outputs


def with_masks(outputs: Outputs, masks: Mapping[str, Flags]) -> Outputs:
    """Return outputs for a client's tensors: what a mask leaves out of a row is zero, and stays where it is.

    An axis of another size than the mask of its name has other elements than the tensors: its output stays whole.
    """
    padded = {name: mask for name, mask in masks.items() if not mask.all()}
    if not padded:
        return outputs
    axes = [axis for axis in outputs.axes if axis.name not in padded or _is_along(outputs, axis, padded[axis.name])]
    arrays = dict(outputs)
    for output, axis, name in axes:
        if name in padded:
            arrays[output] = where_own(arrays[output], axis, padded[name])
    masked = outputs.replace(arrays)
    masked.axes = tuple(axes)
    masked.sizes = {name: sizes for name, sizes in outputs.sizes.items() if name not in padded}
    masked.masks = padded
    return masked


def _is_along(outputs: Outputs, axis: FreeAxis, mask: Flags) -> bool:
    return bool(outputs[axis.output].shape[axis.axis] == mask.shape[1])


def where_own(array: Array, axis: int, own: Flags) -> Array:
    """Return the array with zeros where `own`, shape (rows, size of the axis), is false."""
    return np.where(along(own, axis, array.ndim), array, array.dtype.type(0))


def reordered(array: Array, axis: int, order: npt.NDArray[np.intp]) -> Array:
    """Return each row's elements along an axis in an order of its own, shape (rows, size of the axis)."""
    return np.take_along_axis(array, along(order, axis, array.ndim), axis)


def along(values: npt.NDArray[Any], axis: int, dimensions: int) -> npt.NDArray[Any]:
    """Return values of shape (rows, size) in a shape that stretches over the other axes of an array."""
    rows, size = values.shape
    return values.reshape(rows, *(1,) * (axis - 1), size, *(1,) * (dimensions - axis - 1))


def left_align(
    arrays: Mapping[str, Array], axes: Sequence[FreeAxis], sizes: Mapping[str, Sequence[int]]
) -> dict[str, Array]:
    """Return outputs of rows whose padding stands before them with each row's own elements first.

    `sizes` has the rows' own sizes by the axis's name, of which the largest is the array's.
    """
    moved = dict(arrays)
    for output, axis, name in axes:
        own, array = np.asarray(sizes.get(name, ()), np.intp), moved[output]
        width = array.shape[axis]
        if len(own) and (own < width).any():
            moved[output] = reordered(array, axis, (np.arange(width) - own[:, None]) % width)
    return moved


def concatenate(parts: Sequence[Mapping[str, Array]], axes: Sequence[FreeAxis] = ()) -> dict[str, Array]:
    """Join the rows of several parts, shapes (rows, ...); along free axes, smaller ones are padded with zeros."""
    if len(parts) == 1:
        return dict(parts[0])
    padded = {axis.output for axis in axes}
    return {
        name: np.concatenate(pad([part[name] for part in parts]) if name in padded else [part[name] for part in parts])
        for name in (parts[0] if parts else ())
    }


def join(parts: Sequence[Outputs]) -> Outputs:
    """Join the rows of several outputs."""
    if not parts or not parts[0].axes:
        return Outputs(concatenate(parts))
    axes = parts[0].axes
    sizes = {name: np.concatenate([part.sizes[name] for part in parts]) for name in parts[0].sizes}
    return with_sizes(concatenate(parts, axes), axes, sizes)


def pad(arrays: Sequence[Array]) -> list[Array]:
    """Pad arrays with zeros to the largest shape beside dimension 0."""
    shape = [max(sizes) for sizes in zip(*(array.shape[1:] for array in arrays), strict=True)]
    return [
        array
        if list(array.shape[1:]) == shape
        else np.pad(array, [(0, 0), *((0, most - size) for most, size in zip(shape, array.shape[1:], strict=True))])
        for array in arrays
    ]


def rows_not_finite(outputs: Mapping[str, Array]) -> list[int]:
    """Return the indices of rows where any output has an infinity or NaN; dimension 0 is the batch."""
    rows: set[int] = set()
    for array in outputs.values():
        if array.dtype.kind == "f" and not is_finite(array):
            finite = np.isfinite(array).reshape(len(array), -1).all(axis=1)
            rows.update(np.flatnonzero(~finite).tolist())
    return sorted(rows)


def is_finite(array: Array) -> bool:
    """Return whether every element is finite; for few elements, numpy's calls alone would take ten times as long."""
    if array.size <= FEW:
        return all(map(math.isfinite, array.ravel().tolist()))
    return bool(np.isfinite(array).all())


def drop_rows(outputs: Outputs, rows: Sequence[int]) -> Outputs:
    """Return the outputs without these rows."""
    return outputs.take(np.delete(np.arange(len(next(iter(outputs.values())))), rows))


def not_finite(index: int) -> NotFinite:
    """Return the error of a request's row whose outputs aren't finite."""
    return NotFinite(
        "the model's output is not a finite number",
        where=f"instances[{index}]",
        fix="check the row for values far outside what the model was trained on",
    )
