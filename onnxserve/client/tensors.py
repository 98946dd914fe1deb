"""Tensors of the Open Inference Protocol V2: their elements as bytes, and their parts by row.

Sources: https://github.com/kserve/open-inference-protocol and
https://github.com/triton-inference-server/server/blob/main/docs/protocol/extension_binary_data.md.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from onnxserve_handlers.outputs import pad
from onnxserve_handlers.protocols.v2_http import InputTensor, from_binary, from_json
from onnxserve_handlers.signature import BYTES, datatype

Array = npt.NDArray[Any]
Tensors = Mapping[str, Array]


def row_count(tensors: Tensors) -> int:
    """Return the number of rows; ValueError for no tensor, or for tensors that differ in it."""
    shapes = {name: array.shape for name, array in tensors.items()}
    counts = {shape[:1] for shape in shapes.values()}
    if len(counts) != 1 or counts == {()}:
        raise ValueError(f"tensors must have one element a row along their first axis, got the shapes {shapes}")
    [[count]] = counts
    return int(count)


def cut_rows(tensors: Tensors, start: int, stop: int) -> dict[str, Array]:
    """Return the rows from `start` to before `stop`, shapes (stop - start, ...)."""
    return {name: array[start:stop] for name, array in tensors.items()}


def join_rows(parts: Sequence[Tensors]) -> dict[str, Array]:
    """Return the rows of all parts, by output; a free axis gets the size of the largest part, with zeros.

    The server pads rows of one request in the same way.
    """
    return {name: np.concatenate(pad([part[name] for part in parts])) for name in parts[0]}


def is_text(array: Array) -> bool:
    """Return whether elements are texts or bytes."""
    return array.dtype.kind in "OUS"


def datatype_of(array: Array) -> str:
    """Return the protocol's name of an array's element type, such as FP32."""
    return BYTES if is_text(array) else datatype(array.dtype.name)


def pack(array: Array) -> bytes:
    """Return an array's elements, little-endian; texts and bytes each after their length, in 4 bytes.

    TypeError for an array of objects that aren't texts or bytes, such as numbers beside texts.
    """
    if is_text(array):
        contents = [_content(element) for element in array.ravel().tolist()]
        return b"".join(struct.pack("<I", len(content)) + content for content in contents)
    return array.astype(array.dtype.newbyteorder("<"), copy=False).tobytes()


def _content(element: Any) -> bytes:
    if isinstance(element, str):
        return element.encode()
    if isinstance(element, bytes | bytearray | memoryview):
        return bytes(element)  # of a number, `bytes` would make as many zeros
    raise TypeError(f"an array of objects holds texts or bytes, got {type(element).__name__}: give numbers a dtype")


def unpack(name: str, kind: str, shape: Sequence[int], content: memoryview) -> Array:
    """Return an output of its bytes, shape `shape`; texts as str. RequestError if the bytes don't fit."""
    return _shaped(from_binary(InputTensor(name, [*shape], kind), content), shape)


def from_elements(name: str, kind: str, shape: Sequence[int], elements: Any) -> Array:
    """Return an output of its elements in JSON, shape `shape`; RequestError if they don't fit."""
    return _shaped(from_json(InputTensor(name, [*shape], kind, elements)), shape)


def _shaped(values: Any, shape: Sequence[int]) -> Array:
    if isinstance(values, list):
        texts = [value if isinstance(value, str) else value.decode(errors="replace") for value in values]
        values = np.array(texts, np.object_)
    array: Array = values.reshape(shape)
    return array


def predictions_of(outputs: Tensors, rows: int) -> list[dict[str, Any]]:
    """Return a prediction for each row: what its task adds to the graph's outputs, else those as nested lists."""
    for names in (("label", "score"), ("embedding",), ("score",)):
        if all(name in outputs for name in names):
            return [{name: _value(outputs[name][row]) for name in names} for row in range(rows)]
    return [{"outputs": {name: _value(array[row]) for name, array in outputs.items()}} for row in range(rows)]


def _value(element: Any) -> Any:
    return element.tolist() if isinstance(element, np.ndarray | np.generic) else element
