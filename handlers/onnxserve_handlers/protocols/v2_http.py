"""Open Inference Protocol V2 over HTTP, JSON and the binary tensor extension.

Sources: https://github.com/kserve/open-inference-protocol (inference_rest.md) and
https://github.com/triton-inference-server/server/blob/main/docs/protocol/extension_binary_data.md.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from ..errors import InvalidRow, RequestError, UndecodableBody
from ..inputs.tensors import shaped
from ..response import Answer, Plain, Result
from ..signature import BYTES, NAMES, Signature, datatype
from .body import without_bom

HEADER = "Inference-Header-Content-Length"
BINARY = "application/octet-stream"
Tensor = tuple[str, list[int], Any]  # datatype, shape, flat elements
_encode = msgspec.json.Encoder().encode


class InputTensor(msgspec.Struct):
    """One entry of `inputs`."""

    name: str
    shape: list[int]
    datatype: str
    data: Any = None
    parameters: dict[str, Any] = {}


class WantedOutput(msgspec.Struct):
    """One entry of `outputs`."""

    name: str
    parameters: dict[str, Any] = {}


class InferRequest(msgspec.Struct):
    """The JSON part of a request."""

    inputs: list[InputTensor]
    id: str = ""
    parameters: dict[str, Any] = {}
    outputs: list[WantedOutput] = []


def read_request(content: bytes | Any, tail: memoryview) -> tuple[InferRequest, dict[str, Any]]:
    """The request, and its inputs by name: arrays, or lists of str or bytes for BYTES. `tail` is binary data."""
    try:
        if isinstance(content, bytes | bytearray | memoryview):
            request = msgspec.json.decode(without_bom(content), type=InferRequest)
        else:
            request = msgspec.convert(content, InferRequest)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UndecodableBody(f"not an inference request: {error}", where="inputs") from error
    check_names(request.inputs)
    values: dict[str, Any] = {}
    for tensor in request.inputs:
        size = tensor.parameters.get("binary_data_size")
        if size is None:
            values[tensor.name] = from_json(tensor)
            continue
        if type(size) is not int or not 0 <= size <= len(tail):
            raise UndecodableBody(f"binary_data_size {size!r} of {len(tail)} bytes", where=f"inputs.{tensor.name}")
        values[tensor.name] = from_binary(tensor, tail[:size])
        tail = tail[size:]
    if len(tail):
        raise UndecodableBody(f"{len(tail)} bytes belong to no input", fix="give every input its binary_data_size")
    return request, values


def check_names(inputs: Sequence[InputTensor]) -> None:
    """Raise UndecodableBody without inputs, or for one that comes twice."""
    names = [tensor.name for tensor in inputs]
    if not names or len(set(names)) != len(names):
        raise UndecodableBody(f"inputs named {names}", where="inputs", fix="send each input once")


def _dtype(tensor: InputTensor) -> np.dtype[Any]:
    if tensor.datatype not in NAMES:
        raise InvalidRow(
            f"datatype {tensor.datatype!r}", where=f"inputs.{tensor.name}", fix=f"{BYTES} or {', '.join(NAMES)}"
        )
    return np.dtype(NAMES[tensor.datatype]).newbyteorder("<")


def from_json(tensor: InputTensor) -> npt.NDArray[Any] | list[str]:
    """An input whose elements are `data`."""
    where = f"inputs.{tensor.name}"
    if tensor.datatype == BYTES:
        if not isinstance(tensor.data, list) or not all(isinstance(one, str) for one in tensor.data):
            raise InvalidRow("data must be a flat list of strings", where=where)
        shaped(tensor.shape, len(tensor.data), tensor.name)
        return tensor.data
    dtype = _dtype(tensor)
    try:
        found = np.asarray(tensor.data)
    except ValueError as error:  # ragged
        raise InvalidRow("data is not rectangular", where=where) from error
    if dtype.kind == "u" and found.dtype.kind == "f":
        found = _whole(tensor.data, found)
    allowed = {"b": "b", "i": "iu", "u": "iu", "f": "fiu"}[dtype.kind]
    if found.dtype.kind not in allowed:
        raise InvalidRow(f"data are not {tensor.datatype}", where=where)
    if found.dtype.kind in "iu" and dtype.kind in "iu" and found.size:
        limits = np.iinfo(dtype)
        if found.min() < limits.min or found.max() > limits.max:
            raise InvalidRow(f"data don't fit in {tensor.datatype}", where=where)
    with np.errstate(over="ignore"):  # too large is found as infinite
        return found.astype(dtype, copy=False).reshape(shaped(tensor.shape, found.size, tensor.name))


def _whole(data: Any, found: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Integers that numpy took for floats, as it does with 2**63 beside 0; anything else as it was."""
    each = np.asarray(data, object)
    return each.astype(np.uint64) if all(type(one) is int and 0 <= one < 2**64 for one in each.flat) else found


def from_binary(tensor: InputTensor, data: memoryview) -> npt.NDArray[Any] | list[bytes]:
    """An input whose elements are bytes, as the binary extension packs them."""
    if tensor.datatype != BYTES:
        dtype = _dtype(tensor)
        if len(data) % dtype.itemsize:
            raise InvalidRow(f"{len(data)} bytes of {tensor.datatype}", where=f"inputs.{tensor.name}")
        return np.frombuffer(data, dtype).reshape(shaped(tensor.shape, len(data) // dtype.itemsize, tensor.name))
    found, at = [], 0
    while at < len(data):
        # Each element follows its length, 32 bits, little-endian.
        size = struct.unpack_from("<I", data, at)[0] if at + 4 <= len(data) else len(data)
        if at + 4 + size > len(data):
            raise InvalidRow("an element is longer than the data", where=f"inputs.{tensor.name}")
        found.append(bytes(data[at + 4 : at + 4 + size]))
        at += 4 + size
    shaped(tensor.shape, len(found), tensor.name)
    return found


class OipForm:
    """Answers with named tensors: the graph's outputs, and `label` and `score` where the model has labels."""

    by_row = False

    def __init__(self, request: InferRequest | None = None) -> None:
        self._request = request or InferRequest([])

    def good(self, result: Result) -> Answer:
        """The outputs asked for, or all of them."""
        by_default = bool(self._request.parameters.get("binary_data_output"))
        shown, blobs = [], []
        for one, (kind, shape, flat) in wanted(self._request.outputs, result):
            entry: dict[str, Any] = {"name": one.name, "datatype": kind, "shape": shape}
            if one.parameters.get("binary_data", by_default):
                blobs.append(packed(flat))
                entry["parameters"] = {"binary_data_size": len(blobs[-1])}
            else:
                entry["data"] = listed(flat, result.digits)
            shown.append(entry)
        head = _encode(head_of(result.signature, self._request.id) | {"outputs": shown})
        if not blobs:
            return Answer(head)
        return Answer(b"".join([head, *blobs]), BINARY, ((HEADER, str(len(head))),))

    def bad(self, error: RequestError, signature: Signature) -> Answer:
        """The protocol's error is one line of text."""
        return Answer(_encode(head_of(signature, self._request.id) | {"error": line(error)}))


class V2Errors(Plain):
    """For rows on V2's path that aren't in the protocol's form: only their errors are."""

    def bad(self, error: RequestError, signature: Signature) -> Answer:
        """One line of text."""
        return OipForm().bad(error, signature)


V2_ERRORS = V2Errors()


def line(error: RequestError) -> str:
    """An error as the protocol has it."""
    shown = error.body()
    fix = f" ({shown['fix']})" if "fix" in shown else ""
    return f"{shown['type']}: {shown['where']}: {shown['reason']}{fix}"


def head_of(signature: Signature, asked: str) -> dict[str, Any]:
    """Who answers which request."""
    head = {"model_name": signature.model, "model_version": signature.version}
    return {**head, "id": asked} if asked else head


def wanted(outputs: Sequence[WantedOutput], result: Result) -> list[tuple[WantedOutput, Tensor]]:
    """The outputs asked for, or all of them; InvalidRow for one that isn't there."""
    everything = tensors_of(result)
    if not result.batch:  # a client that gets no outputs of the graph may ask for them
        outputs = [one for one in outputs if one.name in everything]
    asked = outputs or [WantedOutput(name) for name in everything]
    if unknown := [one.name for one in asked if one.name not in everything]:
        raise InvalidRow(f"no outputs {unknown}", where="outputs", fix=f"ask for {', '.join(everything)}")
    return [(one, everything[one.name]) for one in asked]


def tensors_of(result: Result) -> dict[str, Tensor]:
    """Datatype, shape and flat elements of every output."""
    found: dict[str, Tensor] = {
        name: (datatype(array.dtype.name), list(array.shape), array.reshape(-1))
        for name, array in result.outputs.items()
    }
    if result.signature.labels and all(isinstance(one, dict) and "label" in one for one in result.predictions):
        count = [len(result.predictions)]
        found["label"] = (BYTES, count, [one["label"] for one in result.predictions])
        scores = np.array([one.get("score", 0) for one in result.predictions], np.float32)
        found["score"] = ("FP32", count, scores)
    return found


def listed(flat: Any, digits: int | None) -> list[Any]:
    """Elements as JSON has them; those of arrays with `digits` decimals, which float32 doesn't have."""
    if isinstance(flat, list):
        return flat
    elements: list[Any] = flat.tolist()
    return elements if digits is None or flat.dtype.kind != "f" else [round(element, digits) for element in elements]


def packed(flat: Any) -> bytes | memoryview:
    """Elements as the binary extension wants them; those of arrays are not copied."""
    if isinstance(flat, list):
        return b"".join(struct.pack("<I", len(one.encode())) + one.encode() for one in flat)
    array: npt.NDArray[Any] = flat
    return array.astype(array.dtype.newbyteorder("<"), copy=False).view(np.uint8).data
