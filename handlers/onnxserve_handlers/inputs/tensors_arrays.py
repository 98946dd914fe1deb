"""Arrays of numbers: shapes, types and values of those that a client sent, and memory for those that the graph gets."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import chain
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import BodyTooLarge, InvalidRow
from ..protocols.body import json_type
from ..signature import Signature, Tensor

Array = npt.NDArray[Any]
Arrays = Mapping[str, Array]
SHAPE_FIX = "send nested lists of this shape; a name in it is an axis of any size within its limits"
TYPE_FIX = "send elements of this type, or of one whose every value it holds"
MASK_FIX = "send 1 for each element of a row, and 0 for its padding"
NO_SIZES: Mapping[str, int] = MappingProxyType({})


def as_array(value: Any, where: str) -> Array:
    """Return nested lists of numbers as an array of their shape; raises InvalidRow."""
    if not holds_numbers(value):
        reason = f"expected numbers in nested lists, got {_content_type(value)}"
        raise InvalidRow(reason, where=where, fix="send numbers alone, or true and false alone, in lists")
    try:
        array = np.asarray(value)
    except ValueError as error:  # ragged
        fix = "send lists of equal lengths on each level"
        raise InvalidRow("the array is not rectangular", where=where, fix=fix) from error
    array = as_unsigned(value, array)
    if array.dtype.kind not in KINDS or array.ndim >= AXES:
        reason = "expected numbers of at most 64 bits in nested lists"
        raise InvalidRow(reason, where=where, fix="send smaller numbers, in at least one list")
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
        reason = f"{count} elements don't make shape {list(shape)[:AXES]}"
        raise InvalidRow(reason, where=f"inputs.{name}", fix="send at least one element, and as many as the shape says")
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
            f"the request has {rows} rows, at most {signature.input.max_rows} are accepted",
            where="inputs",
            fix="send several requests",
        )
    check_limits(sizes, free, "inputs", least)
    return checked


def check_mask(tensors: Arrays) -> None:
    """Raise InvalidRow if `attention_mask`, where there is one, leaves nothing of a row."""
    mask = tensors.get("attention_mask")
    if mask is not None and not mask.any(axis=1).all():
        reason = "a row has only zeros, so nothing is left of it"
        raise InvalidRow(reason, where="inputs.attention_mask", fix=MASK_FIX)


def check_limits(
    sizes: Mapping[str, int], free: Mapping[str, int], where: str, least: Mapping[str, int] = NO_SIZES
) -> None:
    """Raise InvalidRow for a free axis that is longer or shorter than its limits."""
    for axis, limit in free.items():
        if sizes.get(axis, 1) > limit:
            reason = f"axis {axis!r} is {sizes[axis]} long, at most {limit} is accepted"
            raise InvalidRow(reason, where=where, fix="shorten the row, or split it")
    for axis, limit in least.items():
        if sizes.get(axis, limit) < limit:
            reason = f"axis {axis!r} is {sizes[axis]} long, at least {limit} is accepted"
            raise InvalidRow(reason, where=where, fix="send a longer row")


def check_row(array: Array, tensor: Tensor, sizes: dict[str, int], where: str) -> Array:
    """Return one row in the tensor's dtype and its shape without the batch; raises InvalidRow.

    `sizes` are those of the free axes so far.
    """
    check_sizes(array.shape, tensor.shape[1:], sizes, where)
    row: Array = check_elements(array[None], tensor, where)[0]  # contiguous arrays have an axis at least
    return row


def check_array(array: Array, tensor: Tensor, sizes: dict[str, int], where: str) -> Array:
    """Return an input in the tensor's dtype and shape, (rows, ...); raises InvalidRow.

    `sizes` are those of the free axes so far.
    """
    check_sizes(array.shape, tuple(tensor.shape), sizes, where)
    return check_elements(array, tensor, where)


def check_sizes(shape: tuple[int, ...], expected: tuple[int | str, ...], sizes: dict[str, int], where: str) -> None:
    """Raise InvalidRow unless a shape has the expected sizes; a free axis has one size in all inputs of a request."""
    fits = len(shape) == len(expected)
    for size, known in zip(shape, expected, strict=False):
        fits = fits and size >= 1 and size == (sizes.setdefault(known, size) if isinstance(known, str) else known)
    if not fits:
        raise InvalidRow(f"the input has shape {shape}, expected {expected}", where=where, fix=SHAPE_FIX)


def check_elements(array: Array, tensor: Tensor, where: str) -> Array:
    """Return an input in the tensor's dtype; raises InvalidRow for numbers that it doesn't hold."""
    converted = _cast(array, np.dtype(tensor.dtype), where)
    if converted.dtype.kind == "f" and not np.isfinite(converted).all():
        fix = f"send numbers that {converted.dtype.name} holds"
        raise InvalidRow("the input has numbers that are not finite", where=where, fix=fix)
    return converted


def _cast(array: Array, dtype: np.dtype[Any], where: str) -> Array:
    """Cast as JSON's numbers are read: numbers to any float, integers to an integer dtype that holds them all.

    A number that is too large for a float becomes infinite.
    """
    kinds = {"f": "fiu", "i": "iu", "u": "iu"}.get(dtype.kind, dtype.kind)
    if array.dtype.kind not in kinds:
        reason = f"the elements are {array.dtype.name}, {dtype.name} is expected"
        raise InvalidRow(reason, where=where, fix=TYPE_FIX)
    if dtype.kind in "iu" and array.dtype != dtype and array.size:
        limits = np.iinfo(dtype)
        if array.min() < limits.min or array.max() > limits.max:
            raise InvalidRow(f"the elements don't fit in {dtype.name}", where=where, fix=TYPE_FIX)
    with np.errstate(over="ignore"):
        return np.ascontiguousarray(array, dtype)


class Buffers:
    """One growing block of memory per name; the next `take` of a name overwrites the array of the previous one."""

    def __init__(self) -> None:
        self._blocks: dict[str, Array] = {}

    def take(self, name: str, shape: tuple[int, ...], dtype: npt.DTypeLike) -> Array:
        """Return a contiguous array of this shape, with old values in it."""
        size = math.prod(shape)
        block = self._blocks.get(name)
        if block is None or block.size < size or block.dtype != dtype:
            block = self._blocks[name] = np.empty(size, dtype)
        return block[:size].reshape(shape)
