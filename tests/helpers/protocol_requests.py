"""One row in every protocol that can hold it, and what its answer says: predictions, or tensors by name."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np

from onnxserve_handlers.handler import Handler
from onnxserve_handlers.protocols.v2_grpc import MEDIA as GRPC
from onnxserve_handlers.signature import datatype
from tests.helpers.inference import HEADER, JSON
from tests.helpers.messages import framed, message_of, unframed

Request = tuple[bytes, dict[str, str]]
Tensors = Mapping[str, np.ndarray]


def json_request(document: Any, **headers: str) -> Request:
    return json.dumps(document).encode(), {"content-type": JSON, **headers}


def requests_of(handler: Handler, row: Any) -> dict[str, Request]:
    """Return the requests by name; `row` is an instance in JSON."""
    arrays = tensors_of_row(handler, row)
    requests = {
        "instances": json_request({"instances": [row]}),
        "alone": json_request(row),
        "data": json_request({"data": row}),
        "v2 tensors": json_request(v2_document(arrays)),
        "v2 binary": binary_request(arrays),
        "grpc tensors": grpc_request(arrays),
    }
    name = handler.signature.input.row_name
    if isinstance(row, str):
        content = row.encode() if name == "text" else base64.b64decode(row)
        requests["raw"] = content, {"content-type": handler.raw_types[0]}
        requests["v2 rows"] = json_request(
            {"inputs": [{"name": name, "datatype": "BYTES", "shape": [1], "data": [row]}]}
        )
        for form, element in (("", content), (" as in JSON", row.encode())):
            requests[f"grpc rows{form}"] = grpc_texts(name, element)
            requests[f"v2 binary rows{form}"] = binary_texts(name, element)
    if columns := handler.signature.input.column_names if handler.signature.input.kind == "table" else ():
        cells = row if isinstance(row, list) else [row[column] for column in columns]
        inputs = [
            {"name": n, "datatype": "FP64", "shape": [1], "data": [c]} for n, c in zip(columns, cells, strict=True)
        ]
        requests["v2 columns"] = json_request({"inputs": inputs})
    if len(arrays) == 1:
        stream = io.BytesIO()
        np.save(stream, next(iter(arrays.values())))
        requests["npy"] = stream.getvalue(), {"content-type": "application/x-npy"}
        requests["npy both ways"] = (
            stream.getvalue(),
            {"content-type": "application/x-npy", "accept": "application/x-npy"},
        )
    return requests


def tensors_of_row(handler: Handler, row: Any) -> dict[str, np.ndarray]:
    """Return the graph's inputs for one row."""
    return {name: array.copy() for name, array in handler.tensors([handler.check(row, "row")]).items()}


def v2_document(arrays: Tensors, **more: Any) -> dict[str, Any]:
    """Return a request of V2 with its elements in JSON."""
    described = [(name, datatype(array.dtype.name), list(array.shape), array) for name, array in arrays.items()]
    inputs = [{"name": n, "datatype": kind, "shape": shape, "data": a.tolist()} for n, kind, shape, a in described]
    return {"inputs": inputs, **more}


def binary_request(arrays: Tensors, parameters: Mapping[str, Any] = MappingProxyType({}), **more: Any) -> Request:
    """Return a request of V2 whose elements follow the JSON, and which wants its answer in the same form."""
    document = v2_document(arrays, parameters={"binary_data_output": True, **parameters}, **more)
    for entry, array in zip(document["inputs"], arrays.values(), strict=True):
        entry |= {"parameters": {"binary_data_size": array.nbytes}}
        del entry["data"]
    head = json.dumps(document).encode()
    return head + b"".join(array.tobytes() for array in arrays.values()), {"content-type": JSON, HEADER: str(len(head))}


def grpc_request(arrays: Tensors, outputs: Sequence[Mapping[str, Any]] = (), **parameters: Any) -> Request:
    """Return a call of V2 with raw elements; parameters, of outputs too, are as JSON has them."""
    inputs = [{**entry, "data": None} for entry in v2_document(arrays)["inputs"]]
    fields = [{key: value for key, value in entry.items() if key != "data"} for entry in inputs]
    raw = [base64.b64encode(array.tobytes()).decode() for array in arrays.values()]
    selected = [{**output, "parameters": typed_parameters(output.get("parameters", {}))} for output in outputs]
    call = {"inputs": fields, "raw_input_contents": raw, "outputs": selected}
    message = message_of("ModelInferRequest", **call, parameters=typed_parameters(parameters))
    return framed(message), {"content-type": GRPC}


def typed_parameters(parameters: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return parameters in the fields of their types; one that is None has none."""
    fields: dict[type, str] = {bool: "bool_param", int: "int64_param", str: "string_param", float: "double_param"}
    return {name: {} if value is None else {fields[type(value)]: value} for name, value in parameters.items()}


def grpc_texts(name: str, element: bytes) -> Request:
    """Return a call of V2 with one element of BYTES."""
    field: dict[str, Any] = {"name": name, "datatype": "BYTES", "shape": ["1"]}
    field["contents"] = {"bytes_contents": [base64.b64encode(element).decode()]}
    return framed(message_of("ModelInferRequest", inputs=[field])), {"content-type": GRPC}


def binary_texts(name: str, element: bytes) -> Request:
    """Return a request of V2 whose one element of BYTES follows the JSON."""
    parameters = {"binary_data_size": 4 + len(element)}
    head = json.dumps(
        {"inputs": [{"name": name, "datatype": "BYTES", "shape": [1], "parameters": parameters}]}
    ).encode()
    packed = len(element).to_bytes(4, "little") + element
    return head + packed, {"content-type": JSON, HEADER: str(len(head))}


def answer_of(headers: Mapping[str, str], body: bytes) -> Any:
    """Return the predictions of an answer, or its tensors by name as arrays of float64 or lists of texts."""
    if "x-grpc-status" in headers:
        assert headers["x-grpc-status"] == "0", headers
        message = unframed(body)
        return {
            output.name: typed(output.datatype, output.shape, raw)
            for output, raw in zip(message.outputs, message.raw_output_contents, strict=True)
        }
    if body.startswith(b"\x93NUMPY"):
        return np.load(io.BytesIO(body)).astype(np.float64)
    size = int(headers.get(HEADER, len(body)))
    document, tail = json.loads(body[:size]), body[size:]
    if "outputs" not in document:
        return document["predictions"]
    tensors: dict[str, Any] = {}
    for output in document["outputs"]:
        length = output.get("parameters", {}).get("binary_data_size")
        if length is None:
            flat = output["data"]
            is_text = output["datatype"] == "BYTES"
            tensors[output["name"]] = flat if is_text else np.array(flat, np.float64).reshape(output["shape"])
        else:
            tensors[output["name"]] = typed(output["datatype"], output["shape"], tail[:length])
            tail = tail[length:]
    return tensors


def typed(kind: str, shape: Any, raw: bytes) -> Any:
    """Return raw elements of V2 as numbers, or as texts behind their lengths."""
    if kind != "BYTES":
        dtype = {"FP32": "<f4", "INT64": "<i8", "FP64": "<f8", "UINT8": "u1"}[kind]
        return np.frombuffer(raw, dtype).astype(np.float64).reshape([int(size) for size in shape])
    texts = []
    while raw:
        size = int.from_bytes(raw[:4], "little")
        texts.append(raw[4 : 4 + size].decode())
        raw = raw[4 + size :]
    return texts
