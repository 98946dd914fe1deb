"""The graph's inputs as a client sent them, held to the signature."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from .errors import BodyTooLarge, InvalidRow
from .signature import Signature, Tensor

Arrays = Mapping[str, npt.NDArray[Any]]


def check_tensors(arrays: Arrays, signature: Signature, free: Mapping[str, int]) -> None:
    """Names, dtypes, shapes and finite numbers; `free` bounds the free axes beside the batch by name."""
    wanted = {tensor.name: tensor for tensor in signature.inputs}
    if set(arrays) != set(wanted):
        raise InvalidRow(
            f"inputs {sorted(arrays)}, expected {sorted(wanted)}", where="inputs", fix="see the model's signature"
        )
    sizes: dict[str, int] = {}
    for name, array in arrays.items():
        _check_one(array, wanted[name], sizes)
    rows = len(next(iter(arrays.values())))
    if rows > signature.input.max_rows:
        raise BodyTooLarge(f"{rows} rows, at most {signature.input.max_rows} are accepted", where="inputs")
    for axis, limit in free.items():
        if sizes.get(axis, 1) > limit:
            raise InvalidRow(f"axis {axis!r} is {sizes[axis]} long, at most {limit} is accepted", where="inputs")


def _check_one(array: npt.NDArray[Any], tensor: Tensor, sizes: dict[str, int]) -> None:
    where = f"inputs.{tensor.name}"
    if array.dtype.name != tensor.dtype:
        raise InvalidRow(f"elements are {array.dtype.name}, {tensor.dtype} is expected", where=where)
    shape = tuple(tensor.shape)
    if array.ndim != len(shape):
        raise InvalidRow(f"shape {array.shape}, expected {shape}", where=where)
    for size, expected in zip(array.shape, shape, strict=True):
        # A free axis has one size in all inputs of a request.
        known = sizes.setdefault(expected, size) if isinstance(expected, str) else expected
        if size != known or size < 1:
            raise InvalidRow(f"shape {array.shape}, expected {shape}", where=where)
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise InvalidRow("numbers that are not finite", where=where)
