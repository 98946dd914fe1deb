"""Tensors: each row is one array per input of the graph; also the check of whole inputs that a client sends as arrays.

Rows with a free axis of different sizes never run together, since nothing says what padding would mean to the graph.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from itertools import chain
from types import MappingProxyType
from typing import Annotated, Any, Literal, cast

import msgspec
import numpy as np
import numpy.typing as npt

from ..errors import BodyTooLarge, InvalidRow
from ..protocols.body import json_type, unwrap
from ..signature import FILE_BYTES, Schema, Signature, Tensor, object_schema
from . import InputHooks, InputOptions, Positive

Array = npt.NDArray[Any]
Arrays = Mapping[str, Array]
Row = dict[str, Array]
LENGTH = 8  # of a free axis in random rows
NO_SIZES: Mapping[str, int] = MappingProxyType({})
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
            raise InvalidRow(f"expected the inputs {sorted(self.expected)}, got {has}", where=where)
        sizes: dict[str, int] = {"batch": 1}
        row = {
            name: check_array(as_array(instance[name], f"{where}.{name}")[None], tensor, sizes, f"{where}.{name}")[0]
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
            raise InvalidRow("rows of different sizes along a free axis can't run together", where="inputs")
        return {name: np.stack([row[name] for row in rows]) for name in self.expected}

    def row_schema(self) -> Schema:
        """Return an object of arrays, or any array where the graph has one input."""
        nested: Schema = {"type": ["array", "number", "boolean"]}
        by_name = object_schema(dict.fromkeys(self.expected, nested), [*self.expected])
        return {"anyOf": [by_name, nested]} if len(self.expected) == 1 else by_name


def _draw(draws: np.random.Generator, dtype: np.dtype[Any], shape: Sequence[Any]) -> Array:
    values = draws.normal(size=shape) if dtype.kind == "f" else draws.integers(0, 2, shape)
    return np.asarray(values, dtype)


def as_array(value: Any, where: str) -> Array:
    """Return nested lists of numbers as an array; raises InvalidRow."""
    if not holds_numbers(value):
        raise InvalidRow(f"expected numbers in nested lists, got {_content_type(value)}", where=where)
    try:
        array = np.asarray(value)
    except ValueError as error:  # ragged
        raise InvalidRow("the array is not rectangular", where=where) from error
    array = as_unsigned(value, array)
    if array.dtype.kind not in KINDS or array.ndim >= AXES:
        raise InvalidRow("expected numbers of at most 64 bits in nested lists", where=where)
    return array


def as_unsigned(value: Any, array: Array) -> Array:
    """Return integers that numpy took for floats, as it does with 2**63 beside 0; any other array stays as it is."""
    if array.dtype.kind != "f" or not array.size or array.max() < 2**63:
        return array
    elements = np.asarray(value, object)
    are_unsigned = all(type(element) is int and 0 <= element < 2**64 for element in elements.flat)
    return elements.astype(np.uint64) if are_unsigned else array


AXES = 32  # numpy has a limit too
KINDS = "biuf"  # numpy's kinds of numbers
NUMBERS = (bool, int, float, np.number, np.bool_)


def holds_numbers(value: Any) -> bool:
    """Return whether a value is a number, or lists of numbers of at most `AXES` levels, or of booleans alone.

    Numpy must not see anything else: it would pad all texts of a list to the longest one, and take true for 1.
    """
    level = [value]
    for _ in range(AXES + 1):
        kinds = set(map(type, level))
        lists = {kind for kind in kinds if issubclass(kind, list | tuple)}
        numbers = kinds - lists - {np.ndarray}
        if not all(issubclass(kind, NUMBERS) for kind in numbers) or (bool in numbers and len(numbers) > 1):
            return False
        if np.ndarray in kinds and not all(part.dtype.kind in KINDS for part in level if type(part) is np.ndarray):
            return False
        if not lists:
            return True
        level = list(chain.from_iterable(level if kinds == lists else (part for part in level if type(part) in lists)))
    return False


def _content_type(value: Any) -> str:
    return "a list that has other values" if isinstance(value, list) else json_type(value)


def check_shape(shape: Sequence[int], count: int, name: str) -> tuple[int, ...]:
    """Return an input's shape; raises InvalidRow if it is empty or doesn't hold exactly `count` elements."""
    if len(shape) > AXES or any(size < 1 for size in shape) or math.prod(shape) != count:
        raise InvalidRow(f"{count} elements don't make shape {list(shape)[:AXES]}", where=f"inputs.{name}")
    return tuple(shape)


def check_tensors(
    arrays: Arrays, signature: Signature, free: Mapping[str, int], least: Mapping[str, int] = NO_SIZES
) -> dict[str, Array]:
    """Return the inputs in the graph's dtypes and C order, after checks of their names, shapes and finite numbers.

    `free` has the largest sizes of the free axes beside the batch, by name, and `least` the smallest.
    Raises InvalidRow or BodyTooLarge.
    """
    expected = {tensor.name: tensor for tensor in signature.inputs}
    if set(arrays) != set(expected):
        raise InvalidRow(
            f"the request has the inputs {sorted(arrays)}, expected {sorted(expected)}",
            where="inputs",
            fix="see the model's signature",
        )
    sizes: dict[str, int] = {}
    checked = {name: check_array(array, expected[name], sizes, f"inputs.{name}") for name, array in arrays.items()}
    rows = len(next(iter(checked.values())))
    if rows > signature.input.max_rows:
        raise BodyTooLarge(
            f"the request has {rows} rows, at most {signature.input.max_rows} are accepted", where="inputs"
        )
    check_limits(sizes, free, "inputs", least)
    return checked


def check_mask(tensors: Arrays) -> None:
    """Raise InvalidRow if `attention_mask`, where there is one, leaves nothing of a row."""
    mask = tensors.get("attention_mask")
    if mask is not None and not mask.any(axis=1).all():
        raise InvalidRow("a row has only zeros, so nothing is left of it", where="inputs.attention_mask")


def check_limits(
    sizes: Mapping[str, int], free: Mapping[str, int], where: str, least: Mapping[str, int] = NO_SIZES
) -> None:
    """Raise InvalidRow for a free axis that is longer or shorter than its limits."""
    for axis, limit in free.items():
        if sizes.get(axis, 1) > limit:
            raise InvalidRow(f"axis {axis!r} is {sizes[axis]} long, at most {limit} is accepted", where=where)
    for axis, limit in least.items():
        if sizes.get(axis, limit) < limit:
            raise InvalidRow(f"axis {axis!r} is {sizes[axis]} long, at least {limit} is accepted", where=where)


def check_array(array: Array, tensor: Tensor, sizes: dict[str, int], where: str) -> Array:
    """Return an input in the tensor's dtype; `sizes` are those of the free axes so far. Raises InvalidRow."""
    shape = tuple(tensor.shape)
    if array.ndim != len(shape):
        raise InvalidRow(f"the input has shape {array.shape}, expected {shape}", where=where)
    for size, expected in zip(array.shape, shape, strict=True):
        # A free axis has one size in all inputs of a request.
        known = sizes.setdefault(expected, size) if isinstance(expected, str) else expected
        if size != known or size < 1:
            raise InvalidRow(f"the input has shape {array.shape}, expected {shape}", where=where)
    converted = _cast(array, np.dtype(tensor.dtype), where)
    if converted.dtype.kind == "f" and not np.isfinite(converted).all():
        raise InvalidRow("the input has numbers that are not finite", where=where)
    return converted


def _cast(array: Array, dtype: np.dtype[Any], where: str) -> Array:
    """Cast as JSON's numbers are read: numbers to any float, integers to an integer dtype that holds them all.

    A number that is too large for a float becomes infinite.
    """
    kinds = {"f": "fiu", "i": "iu", "u": "iu"}.get(dtype.kind, dtype.kind)
    if array.dtype.kind not in kinds:
        raise InvalidRow(f"the elements are {array.dtype.name}, {dtype.name} is expected", where=where)
    if dtype.kind in "iu" and array.dtype != dtype and array.size:
        limits = np.iinfo(dtype)
        if array.min() < limits.min or array.max() > limits.max:
            raise InvalidRow(f"the elements don't fit in {dtype.name}", where=where)
    with np.errstate(over="ignore"):
        return np.ascontiguousarray(array, dtype)
