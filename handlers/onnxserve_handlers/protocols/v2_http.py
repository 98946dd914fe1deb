"""Open Inference Protocol V2 over HTTP: JSON, the binary tensor extension, and the model's metadata.

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
from ..inputs.tensors_arrays import as_unsigned, check_shape, holds_numbers
from ..response import PlainForm, Response, Result
from ..signature import BYTES, DATATYPES, Signature, Tensor, datatype
from .body import MALFORMED, decode_uncollected, strip_bom

HEADER = "Inference-Header-Content-Length"
BINARY = "application/octet-stream"
PLATFORM = "onnxruntime_onnx"
CLASSES = "classification"  # a parameter of an output: how many of its largest elements are wanted, with labels
FREE = -1  # the size of a free axis, as the protocol writes it
DATA_FIX = "send a list of numbers that the datatype holds, or name another datatype"
OutputTensor = tuple[str, list[int], Any]  # datatype, shape, flat elements
_encode = msgspec.json.Encoder().encode


class InputTensor(msgspec.Struct):
    """One entry of `inputs`."""

    name: str
    shape: list[int]
    datatype: str
    data: Any = None
    parameters: dict[str, Any] = {}


class RequestedOutput(msgspec.Struct):
    """One entry of `outputs`."""

    name: str
    parameters: dict[str, Any] = {}


class InferRequest(msgspec.Struct):
    """The JSON part of a request."""

    inputs: list[InputTensor]
    id: str = ""
    parameters: dict[str, Any] = {}
    outputs: list[RequestedOutput] = []


_decode = msgspec.json.Decoder(InferRequest).decode


def read_infer_request(content: bytes | Any, tail: memoryview) -> tuple[InferRequest, dict[str, Any]]:
    """Return the request and its inputs by name: arrays, or lists of str or bytes for BYTES.

    `tail` is the binary data after the JSON. Raises UndecodableBody or InvalidRow.
    """
    try:
        if isinstance(content, bytes | bytearray | memoryview):
            request = decode_uncollected(_decode, strip_bom(content))
        else:
            request = msgspec.convert(content, InferRequest)
    except MALFORMED as error:
        fix = "send a request of the Open Inference Protocol, or rows as `instances`"
        raise UndecodableBody(f"not an inference request: {error}", where="inputs", fix=fix) from error
    check_names(request.inputs)
    values: dict[str, Any] = {}
    for tensor in request.inputs:
        size = tensor.parameters.get("binary_data_size")
        if size is None:
            values[tensor.name], tensor.data = from_json(tensor), None  # the response needs only the names
            continue
        if type(size) is not int or not 0 <= size <= len(tail):
            raise UndecodableBody(
                f"binary_data_size is {size!r}, but {len(tail)} bytes are left",
                where=f"inputs.{tensor.name}",
                fix="give each input the number of its bytes",
            )
        values[tensor.name] = from_binary(tensor, tail[:size])
        tail = tail[size:]
    if len(tail):
        raise UndecodableBody(f"{len(tail)} bytes belong to no input", fix="give every input its binary_data_size")
    return request, values


def check_names(inputs: Sequence[InputTensor]) -> None:
    """Raise UndecodableBody if there are no inputs, or two with one name."""
    names = [tensor.name for tensor in inputs]
    if not names or len(set(names)) != len(names):
        raise UndecodableBody(f"the inputs have the names {names}", where="inputs", fix="send each input once")


def _dtype(tensor: InputTensor) -> np.dtype[Any]:
    if tensor.datatype not in DATATYPES:
        raise InvalidRow(
            f"there is no datatype {tensor.datatype!r}",
            where=f"inputs.{tensor.name}",
            fix=f"{BYTES} or {', '.join(DATATYPES)}",
        )
    return np.dtype(DATATYPES[tensor.datatype]).newbyteorder("<")


def from_json(tensor: InputTensor) -> npt.NDArray[Any] | list[str]:
    """Return an input whose elements are in `data`; raises InvalidRow."""
    where = f"inputs.{tensor.name}"
    if tensor.datatype == BYTES:
        if not isinstance(tensor.data, list) or not all(isinstance(element, str) for element in tensor.data):
            raise InvalidRow("data must be a flat list of strings", where=where, fix="send one string for each element")
        check_shape(tensor.shape, len(tensor.data), tensor.name)
        return tensor.data
    dtype = _dtype(tensor)
    if not holds_numbers(tensor.data):
        raise InvalidRow(f"the data are not {tensor.datatype}", where=where, fix=DATA_FIX)
    try:
        array = np.asarray(tensor.data)
    except ValueError as error:  # ragged
        raise InvalidRow("data is not rectangular", where=where, fix="send one flat list") from error
    if dtype.kind == "u":
        array = as_unsigned(tensor.data, array)
    allowed = {"b": "b", "i": "iu", "u": "iu", "f": "fiu"}[dtype.kind]
    if array.dtype.kind not in allowed:
        raise InvalidRow(f"the data are not {tensor.datatype}", where=where, fix=DATA_FIX)
    if array.dtype.kind in "iu" and dtype.kind in "iu" and array.size:
        limits = np.iinfo(dtype)
        if array.min() < limits.min or array.max() > limits.max:
            raise InvalidRow(f"the data don't fit in {tensor.datatype}", where=where, fix=DATA_FIX)
    with np.errstate(over="ignore"):  # a number that is too large becomes infinite, which a later check refuses
        return array.astype(dtype, copy=False).reshape(check_shape(tensor.shape, array.size, tensor.name))


def from_binary(tensor: InputTensor, data: memoryview) -> npt.NDArray[Any] | list[bytes]:
    """Return an input whose elements are bytes in the binary extension's layout; raises InvalidRow."""
    where = f"inputs.{tensor.name}"
    if tensor.datatype != BYTES:
        dtype = _dtype(tensor)
        if len(data) % dtype.itemsize:
            reason = f"{len(data)} bytes don't hold whole elements of {tensor.datatype}"
            raise InvalidRow(reason, where=where, fix="check binary_data_size and the datatype")
        return np.frombuffer(data, dtype).reshape(check_shape(tensor.shape, len(data) // dtype.itemsize, tensor.name))
    elements, position = [], 0
    while position < len(data):
        # Each element follows its length, 32 bits, little-endian.
        size = struct.unpack_from("<I", data, position)[0] if position + 4 <= len(data) else len(data)
        if position + 4 + size > len(data):
            fix = "write each element's length before it, in 4 bytes, little-endian"
            raise InvalidRow("an element is longer than the data", where=where, fix=fix)
        elements.append(bytes(data[position + 4 : position + 4 + size]))
        position += 4 + size
    check_shape(tensor.shape, len(elements), tensor.name)
    return elements


class V2HttpForm:
    """Responses with named tensors: the graph's outputs, and `label` and `score` where the model has labels."""

    holds_row_errors = False

    def __init__(self, request: InferRequest | None = None) -> None:
        self._request = request or InferRequest([])

    def encode_result(self, result: Result) -> Response:
        """Return the requested outputs, or all of them."""
        by_default = bool(self._request.parameters.get("binary_data_output"))
        entries, blobs = [], []
        for output, (kind, shape, flat) in select_outputs(self._request.outputs, result):
            entry: dict[str, Any] = {"name": output.name, "datatype": kind, "shape": shape}
            if output.parameters.get("binary_data", by_default):
                blobs.append(pack_elements(flat))
                entry["parameters"] = {"binary_data_size": len(blobs[-1])}
            else:
                entry["data"] = json_elements(flat, result.digits)
            entries.append(entry)
        head = _encode(response_head(result.signature, self._request.id) | {"outputs": entries})
        if not blobs:
            return Response(head)
        return Response(b"".join([head, *blobs]), BINARY, ((HEADER, str(len(head))),))

    def encode_error(self, error: RequestError, signature: Signature) -> Response:
        """Return the protocol's error, which is one line of text."""
        return Response(_encode(response_head(signature, self._request.id) | {"error": error_line(error)}))


class V2ErrorForm(PlainForm):
    """The form of rows on V2's path that aren't V2's requests: only errors are V2's."""

    def encode_error(self, error: RequestError, signature: Signature) -> Response:
        """Return the protocol's error."""
        return V2HttpForm().encode_error(error, signature)


V2_ERRORS = V2ErrorForm()


def error_line(error: RequestError) -> str:
    """Return an error as one line: type, place, reason and fix."""
    fields = error.body()
    fix = f" ({fields['fix']})" if "fix" in fields else ""
    return f"{fields['type']}: {fields['where']}: {fields['reason']}{fix}"


def response_head(signature: Signature, request_id: str) -> dict[str, Any]:
    """Return the fields that name the model, and the request if it has an id."""
    head = {"model_name": signature.model, "model_version": signature.version}
    return {**head, "id": request_id} if request_id else head


def select_outputs(outputs: Sequence[RequestedOutput], result: Result) -> list[tuple[RequestedOutput, OutputTensor]]:
    """Return the requested outputs with their tensors, all of them without a request; InvalidRow for an unknown one."""
    tensors = output_tensors(result)
    if not result.batch:  # a limited client gets no outputs of the graph, but it may ask for them
        outputs = [output for output in outputs if output.name in tensors]
    selected = outputs or [RequestedOutput(name) for name in tensors]
    if unknown := [output.name for output in selected if output.name not in tensors]:
        raise InvalidRow(f"the model has no outputs {unknown}", where="outputs", fix=f"ask for {', '.join(tensors)}")
    return [
        (output, ranked_labels(tensors[output.name], output.parameters[CLASSES], result.signature, output.name))
        if CLASSES in output.parameters
        else (output, tensors[output.name])
        for output in selected
    ]


def ranked_labels(tensor: OutputTensor, count: Any, signature: Signature, name: str) -> OutputTensor:
    """Return the `count` largest elements of each row as texts `value:index:label`; InvalidRow for a bad output.

    Source: https://github.com/triton-inference-server/server/blob/main/docs/protocol/extension_classification.md.
    """
    _, shape, flat = tensor
    if type(count) is not int or count < 1 or len(shape) != 2 or not isinstance(flat, np.ndarray):
        fix = "ask for at least 1 label of an output of shape (rows, labels)"
        raise InvalidRow("the output can't be ranked", where=f"outputs.{name}.{CLASSES}", fix=fix)
    labels = signature.labels if len(signature.labels) == shape[1] else ()
    texts = [
        ":".join([f"{row[index]:g}", str(index), *labels[index : index + 1]])
        for row in flat.reshape(shape)
        for index in np.argsort(-row, kind="stable")[:count].tolist()
    ]
    return BYTES, [shape[0], min(count, shape[1])], texts


def output_tensors(result: Result) -> dict[str, OutputTensor]:
    """Return datatype, shape and flat elements of every output by name."""
    tensors: dict[str, OutputTensor] = {
        name: (datatype(array.dtype.name), list(array.shape), array.reshape(-1))
        for name, array in result.outputs.items()
    }
    for name in result.signature.output.tensors:
        if name not in tensors and all(isinstance(row, dict) and name in row for row in result.predictions):
            tensors[name] = prediction_tensor([row[name] for row in result.predictions])
    return tensors


def prediction_tensor(values: list[Any]) -> OutputTensor:
    """Return a field of all predictions as a tensor: texts, numbers, or lists of as many numbers in each row."""
    if all(isinstance(value, str) for value in values):
        return BYTES, [len(values)], values
    array = np.array(values, np.float32)
    return "FP32", list(array.shape), array.reshape(-1)


def json_elements(flat: Any, digits: int | None) -> list[Any]:
    """Return elements for JSON, floats with `digits` decimals: rounding in float32 would not be exact."""
    if isinstance(flat, list):
        return flat
    elements: list[Any] = flat.tolist()
    return elements if digits is None or flat.dtype.kind != "f" else [round(element, digits) for element in elements]


def pack_elements(flat: Any) -> bytes | memoryview:
    """Return elements in the binary extension's layout; those of arrays are not copied."""
    if isinstance(flat, list):
        return b"".join(struct.pack("<I", len(text.encode())) + text.encode() for text in flat)
    array: npt.NDArray[Any] = flat
    return array.astype(array.dtype.newbyteorder("<"), copy=False).view(np.uint8).data


def model_metadata(signature: Signature) -> dict[str, Any]:
    """Return the model's part of V2's metadata, without its name and versions."""
    inputs, outputs = (list(map(_tensor_metadata, tensors)) for tensors in (signature.inputs, signature.outputs))
    return {"platform": PLATFORM, "inputs": inputs, "outputs": outputs}


def _tensor_metadata(tensor: Tensor) -> dict[str, Any]:
    shape = [size if isinstance(size, int) else FREE for size in tensor.shape]
    return {"name": tensor.name, "datatype": datatype(tensor.dtype), "shape": shape}
