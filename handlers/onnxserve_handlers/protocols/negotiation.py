"""bytes -> what a request asks: instances in JSON or raw, or the graph's inputs as tensors."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np

from ..errors import InvalidRow, RequestError, UndecodableBody
from ..hooks import Hooks
from ..inputs.tensors import check_tensors
from ..request import Asked, failed
from ..response import PLAIN, Form
from .body import JSON, UNDECLARED, Body, decode_json, instances, media_type, wrong_media
from .npy import MAGIC, MEDIA, NpyForm, read_npy
from .v2_grpc import READ as CALL
from .v2_grpc import RpcForm, read_call
from .v2_http import V2_ERRORS, InferRequest, OipForm, read_request

PROTOCOL = "x-onnxserve-protocol"
Reader = Callable[[], tuple[InferRequest, dict[str, Any]]]


def read(handler: Hooks, body: Body) -> Asked:
    """Whatever the body is; raises the RequestError that it deserves."""
    if body.content is None:
        return from_document(handler, body.decoded)
    if body.media_type in CALL:
        return _formed(handler, partial(read_call, body.content), RpcForm)
    if body.json_length is not None:
        tensors = memoryview(body.content)[body.json_length :]
        return from_protocol(handler, body.content[: body.json_length], tensors)
    return from_rows(handler, body, body.content)


def form_for(headers: Mapping[str, Any]) -> Form:
    """How a request is refused that couldn't be read."""
    return RpcForm(InferRequest([])) if media_type(headers) in CALL else plain_form(headers)


def plain_form(headers: Mapping[str, Any]) -> Form:
    """The form where no protocol has its own; on V2's paths, which the gateway names, errors are V2's."""
    return V2_ERRORS if headers.get(PROTOCOL) == "v2" else PLAIN


def from_document(handler: Hooks, document: Any) -> Asked:
    """A JSON document: the protocol's when it has `inputs`, else instances."""
    if isinstance(document, dict) and "inputs" in document:
        return from_protocol(handler, document, memoryview(b""))
    return Asked(instances(document, handler.row_keys, handler.signature.input.max_rows))


def from_rows(handler: Hooks, body: Body, content: bytes | bytearray) -> Asked:
    """Rows, raw or in JSON or as an array; what a client didn't declare is told apart by its first bytes."""
    undeclared = body.media_type in UNDECLARED
    if body.media_type == MEDIA or (undeclared and content.startswith(MAGIC)):
        return from_npy(handler, content, body.accept)
    if body.media_type in handler.raw_types or (undeclared and handler.raw(content)):
        return Asked([content])
    if body.media_type == JSON or undeclared:
        return from_document(handler, decode_json(content))
    raise wrong_media(body.media_type, (JSON, *handler.raw_types))


def from_npy(handler: Hooks, content: bytes | bytearray, accept: str) -> Asked:
    """The graph's only input as one array."""
    inputs = handler.signature.inputs
    if len(inputs) != 1:
        names = ", ".join(tensor.name for tensor in inputs)
        raise InvalidRow(f"one array can't be {names}", fix="use the Open Inference Protocol for several inputs")
    one = Asked(tensors=_checked(handler, {inputs[0].name: read_npy(content)}))
    if accept in (MEDIA, "application/octet-stream"):
        one.form = NpyForm()
    return one


def from_protocol(handler: Hooks, head: Any, tail: memoryview) -> Asked:
    """An inference request: the graph's inputs, or one BYTES input of instances under one of the row's names."""
    return _formed(handler, partial(read_request, head, tail), OipForm)


def _formed(handler: Hooks, reader: Reader, form: Callable[[InferRequest], Form]) -> Asked:
    request = InferRequest([])
    try:
        request, values = reader()
        names = [output.name for output in handler.signature.outputs] + ["label", "score"]
        if unknown := sorted({one.name for one in request.outputs} - set(names)):
            raise InvalidRow(f"no outputs {unknown}", where="outputs", fix=f"ask for {', '.join(names)}")
        one = _asked(handler, values)
    except RequestError as error:
        return failed(error, form(request))
    one.form = form(request)
    return one


def _asked(handler: Hooks, values: dict[str, Any]) -> Asked:
    if len(values) == 1 and isinstance(rows := next(iter(values.values())), list):
        name = next(iter(values))
        if name not in handler.row_keys:
            raise InvalidRow(f"no input {name!r} of BYTES", where="inputs", fix=f"name it {handler.row_keys[0]!r}")
        return Asked(instances({"instances": rows}, (), handler.signature.input.max_rows))
    if table := _columns(handler, values):
        return Asked(table)
    if lists := sorted(name for name, value in values.items() if not isinstance(value, np.ndarray)):
        raise InvalidRow(f"BYTES can't be beside other inputs: {lists}", where="inputs")
    return Asked(tensors=_checked(handler, values))


def _columns(handler: Hooks, values: dict[str, Any]) -> list[dict[str, Any]]:
    """Rows by column, where each input is a column or a key of the feature store; none where they are the graph's.

    So clients send tables that take the names from data frames.
    """
    signature = handler.signature
    known = {*signature.input.columns, *(signature.features.entities if signature.features else ())}
    if not known & values.keys() or values.keys() == {tensor.name for tensor in signature.inputs}:
        return []
    columns = {name: _elements(name, value) for name, value in values.items()}
    counts = {name: len(column) for name, column in columns.items()}
    if len(set(counts.values())) > 1:
        raise InvalidRow(f"columns of different lengths: {counts}", where="inputs")
    rows = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    return instances({"instances": rows}, (), signature.input.max_rows)


def _elements(name: str, value: Any) -> list[Any]:
    """Of a column, shape (rows) or (rows, 1), as Python's numbers and texts."""
    if isinstance(value, list):
        try:
            return [element if isinstance(element, str) else element.decode() for element in value]
        except UnicodeDecodeError as error:
            raise UndecodableBody("the text is not UTF-8", where=f"inputs.{name}") from error
    if value.shape not in ((len(value),), (len(value), 1)) if value.ndim else True:
        raise InvalidRow(f"shape {value.shape}, expected ('batch',)", where=f"inputs.{name}")
    return list(value.ravel().tolist())


def _checked(handler: Hooks, values: dict[str, Any]) -> dict[str, Any]:
    tensors = check_tensors(values, handler.signature, handler.free_axes())
    handler.check_values(tensors)
    return tensors
