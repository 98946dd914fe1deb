"""The graph's inputs as a client sent them, checked against the signature."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import BodyTooLarge, InvalidRow
from ..signature import Signature, Tensor

Array = npt.NDArray[Any]
Arrays = Mapping[str, Array]
AXES = 32  # numpy has a limit too


def check_shape(shape: Sequence[int], count: int, name: str) -> tuple[int, ...]:
    """Return an input's shape; raises InvalidRow if it is empty or doesn't hold exactly `count` elements."""
    if len(shape) > AXES or any(size < 1 for size in shape) or math.prod(shape) != count:
        raise InvalidRow(f"{count} elements don't make shape {list(shape)[:AXES]}", where=f"inputs.{name}")
    return tuple(shape)


def check_tensors(arrays: Arrays, signature: Signature, free: Mapping[str, int]) -> dict[str, Array]:
    """Return the inputs in the graph's dtypes and C order, after checks of their names, shapes and finite numbers.

    `free` has the largest sizes of the free axes beside the batch, by name. Raises InvalidRow or BodyTooLarge.
    """
    expected = {tensor.name: tensor for tensor in signature.inputs}
    if set(arrays) != set(expected):
        raise InvalidRow(
            f"inputs {sorted(arrays)}, expected {sorted(expected)}", where="inputs", fix="see the model's signature"
        )
    sizes: dict[str, int] = {}
    checked = {name: _check(array, expected[name], sizes) for name, array in arrays.items()}
    rows = len(next(iter(checked.values())))
    if rows > signature.input.max_rows:
        raise BodyTooLarge(f"{rows} rows, at most {signature.input.max_rows} are accepted", where="inputs")
    for axis, limit in free.items():
        if sizes.get(axis, 1) > limit:
            raise InvalidRow(f"axis {axis!r} is {sizes[axis]} long, at most {limit} is accepted", where="inputs")
    return checked


def _check(array: Array, tensor: Tensor, sizes: dict[str, int]) -> Array:
    where, shape = f"inputs.{tensor.name}", tuple(tensor.shape)
    if array.ndim != len(shape):
        raise InvalidRow(f"shape {array.shape}, expected {shape}", where=where)
    for size, expected in zip(array.shape, shape, strict=True):
        # A free axis has one size in all inputs of a request.
        known = sizes.setdefault(expected, size) if isinstance(expected, str) else expected
        if size != known or size < 1:
            raise InvalidRow(f"shape {array.shape}, expected {shape}", where=where)
    cast = _cast(array, np.dtype(tensor.dtype), where)
    if cast.dtype.kind == "f" and not np.isfinite(cast).all():
        raise InvalidRow("the input has numbers that are not finite", where=where)
    return cast


def _cast(array: Array, dtype: np.dtype[Any], where: str) -> Array:
    """Cast as JSON's numbers are read: numbers to any float, integers to an integer dtype that holds them all.

    A number that is too large for a float becomes infinite.
    """
    kinds = {"f": "fiu", "i": "iu", "u": "iu"}.get(dtype.kind, dtype.kind)
    if array.dtype.kind not in kinds:
        raise InvalidRow(f"elements are {array.dtype.name}, {dtype.name} is expected", where=where)
    if dtype.kind in "iu" and array.dtype != dtype and array.size:
        limits = np.iinfo(dtype)
        if array.min() < limits.min or array.max() > limits.max:
            raise InvalidRow(f"elements don't fit in {dtype.name}", where=where)
    with np.errstate(over="ignore"):
        return np.ascontiguousarray(array, dtype)
