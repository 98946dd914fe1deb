"""Tensors: each row is one array per input of the graph.

Rows with a free axis of different sizes never run together, since nothing says what padding would mean to the graph.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Annotated, Any, Literal, cast

import msgspec
import numpy as np
import numpy.typing as npt

from ..errors import InvalidRow
from ..protocols.body import json_type, unwrap
from ..signature import FILE_BYTES, Schema, Tensor, object_schema
from . import InputHooks, InputOptions, Positive
from .tensors_arrays import as_array, check_limits, check_row
from .tensors_measures import size_measures, tensor_measures

Array = npt.NDArray[Any]
Row = dict[str, Array]
LENGTH = 8  # of a free axis in random rows
Dtype = Literal[
    "bool", "uint8", "uint16", "uint32", "uint64", "int8", "int16", "int32", "int64", "float16", "float32", "float64"
]


class TensorOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One input of the graph, without the batch's dimension."""

    name: str
    """Name of the input."""
    dtype: Dtype = "float32"
    """Type of its elements, by numpy's name."""
    shape: tuple[Positive | str, ...] = ()
    """Sizes of its axes beside the batch; a name stands for a free axis."""


class TensorsOptions(InputOptions, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Which inputs the graph has."""

    kind: Literal["tensors"] = "tensors"
    """Rows are arrays by the graph's input names, or one array where it has one input."""
    max_bytes: Positive = FILE_BYTES
    """Largest body of a request [bytes]."""
    tensors: Annotated[tuple[TensorOptions, ...], msgspec.Meta(min_length=1)]
    """Inputs of the graph."""
    limits: dict[str, Positive] = {}  # noqa: RUF012 - msgspec copies it
    """Largest size of each free axis, by its name."""

    @property
    def is_loggable(self) -> bool:
        """Whether the prediction log may keep rows: never."""
        return False


class TensorsInput(InputHooks):
    """Rows are arrays by input name, each without the batch's dimension."""

    input_options = TensorsOptions
    row_keys: tuple[str, ...] = ("data",)

    @property
    def options(self) -> TensorsOptions:
        """The kind's part of the signature."""
        return cast("TensorsOptions", self.signature.input)

    def prepare(self) -> None:
        """Remember the inputs and their free axes; an input's name stands before the input, never before a row."""
        self.expected = {
            spec.name: Tensor(spec.name, spec.dtype, ("batch", *spec.shape)) for spec in self.options.tensors
        }
        self.row_keys = tuple(key for key in type(self).row_keys if key not in self.expected)
        self.dynamic_axes = {
            tensor.name: {axis: size for axis, size in enumerate(tensor.shape) if axis and isinstance(size, str)}
            for tensor in self.expected.values()
        }

    def check(self, instance: Any, where: str) -> Row:
        """Return one array per input; raises InvalidRow for a missing or unknown input, a wrong shape or number."""
        instance = unwrap(instance, self.row_keys)
        if not isinstance(instance, dict) and len(self.expected) == 1:
            instance = dict.fromkeys(self.expected, instance)
        if not isinstance(instance, dict) or instance.keys() != self.expected.keys():
            has = f"the inputs {sorted(instance)[:9]}" if isinstance(instance, dict) else json_type(instance)
            reason = f"expected the inputs {sorted(self.expected)}, got {has}"
            raise InvalidRow(reason, where=where, fix="send an object with an array for each of these inputs")
        sizes: dict[str, int] = {}
        row = {
            name: check_row(as_array(instance[name], f"{where}.{name}"), tensor, sizes, f"{where}.{name}")
            for name, tensor in self.expected.items()
        }
        check_limits(sizes, self.free_axes(), where)
        return row

    def batch_keys(self, rows: Sequence[Row]) -> list[Hashable] | None:
        """Return the shapes of a row's inputs, if an axis is free."""
        if not any(self.dynamic_axes.values()):
            return None
        return [tuple(array.shape for array in row.values()) for row in rows]

    def sizes(self, rows: Sequence[Row]) -> Mapping[str, Sequence[int]]:
        """Return each row's own sizes of the free axes."""
        return {
            name: [row[key].shape[axis - 1] for row in rows]
            for key, axes in self.dynamic_axes.items()
            for axis, name in axes.items()
        }

    def measures(self, rows: Sequence[Row]) -> Mapping[str, Array]:
        """Return measures of each input's numbers and the sizes of the free axes, shape (rows,)."""
        measures = size_measures(self.sizes(rows))
        for name, tensor in self.expected.items():
            measures |= tensor_measures(name, [row[name] for row in rows], np.dtype(tensor.dtype))
        return measures

    def tensor_rows(self, tensors: Mapping[str, Array]) -> list[Any]:
        """Return an array per input for each row, unless a subclass makes other rows."""
        if type(self).check is not TensorsInput.check:
            return []
        arrays = [tensors[name] for name in self.expected]
        return [dict(zip(self.expected, row, strict=True)) for row in zip(*arrays, strict=True)]

    def free_axes(self) -> dict[str, int]:
        """Return the largest sizes of the free axes."""
        return self.options.limits

    def sample(self, draws: np.random.Generator) -> dict[str, Any]:
        """Return random arrays: of 0 and 1 for integers, whose meaning is unknown; all rows have one size."""
        names = {name for axes in self.dynamic_axes.values() for name in axes.values()}
        sizes = {name: min(self.options.limits.get(name, LENGTH), LENGTH) for name in names}
        return {
            name: _draw(
                draws,
                np.dtype(tensor.dtype),
                [sizes[size] if isinstance(size, str) else size for size in tensor.shape[1:]],
            ).tolist()
            for name, tensor in self.expected.items()
        }

    def tensors(self, rows: Sequence[Row]) -> dict[str, Array]:
        """Return each input, shape (rows, ...); raises InvalidRow for rows of different sizes."""
        if len(set(self.batch_keys(rows) or ())) > 1:
            reason = "rows of different sizes along a free axis can't run together"
            raise InvalidRow(reason, where="inputs", fix="send them in requests of their own")
        return {name: np.stack([row[name] for row in rows]) for name in self.expected}

    def row_schema(self) -> Schema:
        """Return the schema of an object of arrays, or of any array where the graph has one input."""
        nested: Schema = {"type": ["array", "number", "boolean"]}
        by_name = object_schema(dict.fromkeys(self.expected, nested), [*self.expected])
        return {"anyOf": [by_name, nested]} if len(self.expected) == 1 else by_name


def _draw(draws: np.random.Generator, dtype: np.dtype[Any], shape: Sequence[Any]) -> Array:
    values = draws.normal(size=shape) if dtype.kind == "f" else draws.integers(0, 2, shape)
    return np.asarray(values, dtype)
