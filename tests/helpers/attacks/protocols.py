"""Requests of every protocol with one thing wrong, made from a good row of any model: a name and a body with headers.

What is wrong is a tensor's name, type, shape or elements, or how the parts of the body hang together.
"""

from __future__ import annotations

import base64
import copy
import io
import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from onnxserve_handlers.protocols.v2_grpc import MEDIA as GRPC
from onnxserve_handlers.signature import datatype
from tests.helpers.inference import HEADER, JSON
from tests.helpers.messages import framed, message_of
from tests.helpers.protocol_requests import Request, Tensors, v2_document

Named = Iterator[tuple[str, Request]]
HUGE = 2**62
LONE = "\ud800"  # half of a surrogate pair
# By what is wrong with one input of a V2 request: the fields that take the place of its own; ... for none.
FIELDS: dict[str, dict[str, Any]] = {
    "no name": {"name": ...},
    "an empty name": {"name": ""},
    "another name": {"name": "x"},
    "a name of 100,000 characters": {"name": "x" * 100_000},
    "a number for a name": {"name": 7},
    "half of a surrogate pair for a name": {"name": LONE},
    "no shape": {"shape": ...},
    "a null shape": {"shape": None},
    "an empty shape": {"shape": []},
    "an axis below 0": {"shape": [-1, -1]},
    "no rows": {"shape": [0, 2], "data": []},
    "an axis of 2^62": {"shape": [HUGE, 2]},
    "axes whose product is 2^64": {"shape": [2**32, 2**32]},
    "an axis beyond 64 bits": {"shape": [2**70]},
    "half an axis": {"shape": [1.5]},
    "a true axis": {"shape": [True]},
    "an axis in quotes": {"shape": ["1"]},
    "axes in axes": {"shape": [[1]]},
    "40 axes": {"shape": [1] * 40},
    "no type": {"datatype": ...},
    "an unknown type": {"datatype": "FP31"},
    "a type in small letters": {"datatype": "fp32"},
    "a null type": {"datatype": None},
    "a truth for numbers": {"datatype": "BOOL"},
    "texts for numbers": {"datatype": "BYTES"},
    "no elements": {"data": ...},
    "null elements": {"data": None},
    "one null among them": {"data": [None]},
    "elements in quotes": {"data": ["1"]},
    "an object for elements": {"data": {"0": 1}},
    "a text for elements": {"data": "1,2"},
    "ragged elements": {"data": [[1], [1, 2]]},
    "elements at a depth of 60": {"data": json.loads("[" * 60 + "1" + "]" * 60)},
    "an integer of 400 digits": {"data": [10**400]},
    "an integer of 2^70": {"data": [2**70]},
    "half of a surrogate pair": {"data": [LONE]},
    "a list for parameters": {"parameters": []},
    "a negative size of bytes": {"parameters": {"binary_data_size": -1}},
    "a size of 2^70 bytes": {"parameters": {"binary_data_size": 2**70}},
    "a size in quotes": {"parameters": {"binary_data_size": "8"}},
    "a size with a fraction": {"parameters": {"binary_data_size": 8.5}},
}


def changed(document: Mapping[str, Any], fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return a V2 request whose first input has other fields."""
    other = copy.deepcopy(dict(document))
    entry = {**other["inputs"][0], **fields}
    other["inputs"][0] = {name: value for name, value in entry.items() if value is not ...}
    return other


def json_requests(arrays: Tensors) -> Named:
    """Yield requests whose elements are in JSON."""
    document = v2_document(arrays)
    headers = {"content-type": JSON}
    for name, fields in FIELDS.items():
        yield name, (json.dumps(changed(document, fields)).encode(), headers)
    inputs = document["inputs"]
    documents: dict[str, Any] = {
        "an input twice": {"inputs": [*inputs, inputs[0]]},
        "an input more": {"inputs": [*inputs, {**inputs[0], "name": "x"}]},
        "no inputs": {"inputs": []},
        "a null input": {"inputs": [None]},
        "inputs by name": {"inputs": {entry["name"]: entry for entry in inputs}},
        "a list for an id": {**document, "id": []},
        "an unknown output": {**document, "outputs": [{"name": "x"}]},
        "a text for outputs": {**document, "outputs": "label"},
        "a list for parameters of all": {**document, "parameters": [1]},
    }
    for name, other in documents.items():
        yield name, (json.dumps(other).encode(), headers)
    for number in ("NaN", "-Infinity", "1e999"):
        body = json.dumps(changed(document, {"data": ["@"]})).replace('"@"', number).encode()
        yield f"a number {number}", (body, headers)


def binary(document: Mapping[str, Any], tail: bytes, length: str = "") -> Request:
    head = json.dumps(document).encode()
    return head + tail, {"content-type": JSON, HEADER: length or str(len(head))}


def binary_requests(arrays: Tensors) -> Named:
    """Yield requests whose elements follow the JSON."""
    document = v2_document(arrays)
    for entry, array in zip(document["inputs"], arrays.values(), strict=True):
        entry |= {"parameters": {"binary_data_size": array.nbytes}}
        del entry["data"]
    tail, first = b"".join(array.tobytes() for array in arrays.values()), next(iter(arrays.values()))
    for name, fields in FIELDS.items():
        if "data" not in fields:
            yield name, binary(changed(document, fields), tail)
    tails = {"a byte less": tail[:-1], "a byte more": tail + b"\0", "nothing behind it": b""}
    for name, other in tails.items():
        yield name, binary(document, other)
    for length in ("0", "-1", "1", "x", "1.5", str(10**30), "\u0663"):
        yield f"a length of {length}", binary(document, tail, length)
    if first.dtype.kind == "f":
        for number in (np.nan, np.inf):
            yield f"{number} in bytes", binary(document, np.full_like(first, number).tobytes() + tail[first.nbytes :])
    yield "a size of 0", binary(changed(document, {"parameters": {"binary_data_size": 0}}), tail[first.nbytes :])


def call(inputs: list[dict[str, Any]], raw: list[bytes], **fields: Any) -> Request:
    contents = [base64.b64encode(part).decode() for part in raw]
    message = message_of("ModelInferRequest", inputs=inputs, raw_input_contents=contents, **fields)
    return framed(message), {"content-type": GRPC}


def grpc_requests(arrays: Tensors) -> Named:
    """Yield calls, with raw elements but for a few."""
    inputs: list[dict[str, Any]] = [
        {"name": name, "datatype": datatype(array.dtype.name), "shape": list(array.shape)}
        for name, array in arrays.items()
    ]
    raw = [array.tobytes() for array in arrays.values()]
    first, others = inputs[0], inputs[1:]

    def other(**fields: Any) -> Request:
        return call([{**first, **fields}, *others], raw)

    yield "no inputs", call([], [])
    yield "an input twice", call([*inputs, first], [*raw, raw[0]])
    yield "an input more", call([*inputs, {**first, "name": "x"}], [*raw, raw[0]])
    yield "elements less", call(inputs, raw[1:] or [b""])
    yield "elements more", call(inputs, [*raw, raw[0]])
    yield "a byte less", call(inputs, [raw[0][:-1], *raw[1:]])
    yield "a byte more", call(inputs, [raw[0] + b"\0", *raw[1:]])
    yield "no elements", call(inputs, [])
    yield "no name", other(name="")
    yield "another name", other(name="x" * 10_000)
    yield "no type", other(datatype="")
    yield "an unknown type", other(datatype="FP31")
    yield "texts", other(datatype="BYTES")
    yield "no shape", other(shape=[])
    for shape in ([-1, 2], [0, 2], [HUGE, 2], [2**32, 2**31], [1] * 40):
        yield f"a shape of {shape[:2]} in {len(shape)}", other(shape=shape)
    for field in ("bool", "int", "int64", "uint", "uint64", "fp32", "fp64"):
        value: Any = True if field == "bool" else 1
        typed = {**first, "contents": {f"{field}_contents": [value]}}
        yield f"one {field}", call([typed, *others], [])
        yield f"one {field} beside raw ones", call([typed, *others], raw)
    yield "texts in contents", call([{**first, "contents": {"bytes_contents": ["/w=="]}}, *others], [])
    yield "an unknown output", call(inputs, raw, outputs=[{"name": "x"}])
    body, headers = call(inputs, raw)
    cut = {"nothing": b"", "four bytes": body[:4], "a cut frame": body[:-1], "a second frame": body * 2}
    cut |= {"a packed frame": b"\1" + body[1:], "a flag of 9": b"\x09" + body[1:], "noise": framed(b"\xff" * 40)}
    for name, content in cut.items():
        yield name, (content, headers)
    if arrays[first["name"]].dtype.kind == "f":
        nothing = np.full_like(arrays[first["name"]], np.nan).tobytes()
        yield "NaN", call(inputs, [nothing, *raw[1:]])


def npy_requests(arrays: Tensors) -> Named:
    """Yield files of numpy."""

    def saved(array: Any, **options: Any) -> Request:
        stream = io.BytesIO()
        np.save(stream, array, **options)
        return stream.getvalue(), {"content-type": "application/x-npy"}

    array = next(iter(arrays.values()))
    whole, headers = saved(array)
    yield "a scalar", saved(np.float32(1))
    yield "texts", saved(np.array(["a"]))
    yield "objects", saved(np.array([None]), allow_pickle=True)
    yield "complex numbers", saved(array.astype(np.complex64))
    yield "times", saved(np.array(["2020-01-01"], "datetime64[D]"))
    yield "records", saved(np.zeros(1, [("a", "f4")]))
    yield "no rows", saved(array[:0])
    yield "an axis more", saved(array[..., None])
    yield "too many rows", saved(np.repeat(array, 5000, axis=0))
    yield "a truth for numbers", saved(np.ones(array.shape, bool))
    if array.dtype.kind == "f":
        yield "NaN", saved(np.full_like(array, np.nan))
    for name, content in {
        "cut": whole[:-1],
        "more": whole + b"\0",
        "the head": whole[:40],
        "the magic": whole[:6],
    }.items():
        yield name, (content, headers)


PROTOCOLS: dict[str, Callable[[Tensors], Named]] = {
    "v2 json": json_requests,
    "v2 binary": binary_requests,
    "grpc": grpc_requests,
    "npy": npy_requests,
}
