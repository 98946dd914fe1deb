"""bytes -> request: instances in JSON or raw, or the graph's inputs as tensors; the client's form of the response."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np

from ..errors import InvalidRow, RequestError, UndecodableBody
from ..inputs.tensors_arrays import check_tensors
from ..request import Request, failed_request
from ..response import PLAIN, Form
from ..tasks import Hooks
from .body import JSON, PROTOCOL, UNDECLARED, Body, decode_json, media_type, read_instances, unsupported_media
from .client_forms import EmbeddingsForm, RerankForm, read_embeddings, read_rerank
from .npy import NPY_MAGIC, NPY_TYPE, NpyForm, read_npy
from .v2_grpc import MEDIA_TYPES as GRPC_TYPES
from .v2_grpc import V2GrpcForm, read_call
from .v2_http import V2_ERRORS, InferRequest, V2HttpForm, read_infer_request

Reader = Callable[[], tuple[InferRequest, dict[str, Any]]]
# Protocols that a path of the gateway stands for: how a request is read, and the form of an error.
READERS: dict[str, Callable[[Hooks, Body], Request]] = {"embeddings": read_embeddings, "rerank": read_rerank}
FORMS: dict[str, Form] = {"v2": V2_ERRORS, "embeddings": EmbeddingsForm(), "rerank": RerankForm()}


def read(handler: Hooks, body: Body) -> Request:
    """Read a body in any of the protocols; raises the RequestError that the client gets."""
    if body.protocol in READERS:
        return READERS[body.protocol](handler, body)
    if body.content is None:
        return from_document(handler, body.decoded)
    if body.media_type in GRPC_TYPES:
        return _from_infer_request(handler, partial(read_call, body.content), V2GrpcForm)
    if body.json_length is not None:
        tensors = memoryview(body.content)[body.json_length :]
        return from_v2(handler, body.content[: body.json_length], tensors)
    return from_rows(handler, body, body.content)


def form_for(headers: Mapping[str, Any]) -> Form:
    """Return the form of the error for a request that couldn't be read."""
    return V2GrpcForm(InferRequest([])) if media_type(headers) in GRPC_TYPES else plain_form(headers)


def plain_form(headers: Mapping[str, Any]) -> Form:
    """Return the form where a body shows none: that of the path, which the gateway names."""
    return FORMS.get(str(headers.get(PROTOCOL, "")), PLAIN)


def from_document(handler: Hooks, document: Any) -> Request:
    """Read a JSON document: V2's if it has `inputs`, else instances, maybe with the task's parameters."""
    if isinstance(document, dict) and "inputs" in document:
        return from_v2(handler, document, memoryview(b""))
    instances = read_instances(document, handler.row_keys, handler.signature.input.max_rows)
    request = Request(instances)
    if isinstance(document, dict) and "instances" in document and "parameters" in document:
        request.parameters = read_parameters(document["parameters"])
        handler.check_parameters(request.parameters)
    return request


def read_parameters(value: Any) -> Mapping[str, Any]:
    """Return the parameters of a request; raises UndecodableBody."""
    if not isinstance(value, dict):
        raise UndecodableBody("the parameters must be an object", where="parameters", fix='send {"name": value}')
    return value


def from_rows(handler: Hooks, body: Body, content: bytes | bytearray) -> Request:
    """Read a raw row, JSON or an array; without a declared type, the first bytes decide which it is."""
    undeclared = body.media_type in UNDECLARED
    if body.media_type == NPY_TYPE or (undeclared and content.startswith(NPY_MAGIC)):
        return from_npy(handler, content, body.accept)
    if body.media_type in handler.raw_types or (undeclared and handler.raw(content)):
        return Request([content])
    if body.media_type == JSON or undeclared:
        return from_document(handler, decode_json(content))
    raise unsupported_media(body.media_type, (JSON, *handler.raw_types))


def from_npy(handler: Hooks, content: bytes | bytearray, accept: str) -> Request:
    """Read the graph's only input as one array, shape (rows, ...); raises InvalidRow where there are several inputs."""
    inputs = handler.signature.inputs
    if len(inputs) != 1:
        names = ", ".join(tensor.name for tensor in inputs)
        raise InvalidRow(
            f"the model has the inputs {names}, which one array can't hold",
            fix="use the Open Inference Protocol for several inputs",
        )
    request = Request(tensors=_check(handler, {inputs[0].name: read_npy(content)}))
    if accept in (NPY_TYPE, "application/octet-stream"):
        request.form = NpyForm()
    return request


def from_v2(handler: Hooks, head: Any, tail: memoryview) -> Request:
    """Read V2's request over HTTP: the graph's inputs, or one BYTES input of instances with a name of `row_keys`."""
    return _from_infer_request(handler, partial(read_infer_request, head, tail), V2HttpForm)


def _from_infer_request(handler: Hooks, reader: Reader, form: Callable[[InferRequest], Form]) -> Request:
    infer_request = InferRequest([])
    try:
        infer_request, values = reader()
        names = [*(output.name for output in handler.signature.outputs), *handler.signature.output.tensors]
        if unknown := sorted({output.name for output in infer_request.outputs} - set(names)):
            raise InvalidRow(f"the model has no outputs {unknown}", where="outputs", fix=f"ask for {', '.join(names)}")
        request = _from_inputs(handler, values)
        # V2 leaves parameters to servers and clients, so unknown ones are ignored.
        schemas = handler.parameter_schemas()
        known = {name: value for name, value in infer_request.parameters.items() if name in schemas}
        handler.check_parameters(known)
        request.parameters = known
    except RequestError as error:
        return failed_request(error, form(infer_request))
    request.form = form(infer_request)
    return request


def _from_inputs(handler: Hooks, values: dict[str, Any]) -> Request:
    if table := _table_rows(handler, values):
        return Request(table)
    if len(values) == 1 and isinstance(rows := next(iter(values.values())), list):
        name = next(iter(values))
        if name not in handler.row_keys:
            raise InvalidRow(
                f"the model has no input {name!r} of BYTES", where="inputs", fix=f"name it {handler.row_keys[0]!r}"
            )
        return Request(read_instances({"instances": rows}, (), handler.signature.input.max_rows))
    if lists := sorted(name for name, value in values.items() if not isinstance(value, np.ndarray)):
        fix = "send rows as one input of BYTES, or the graph's own inputs as numbers"
        raise InvalidRow(f"BYTES can't be beside other inputs: {lists}", where="inputs", fix=fix)
    return Request(tensors=_check(handler, values))


def _table_rows(handler: Hooks, values: dict[str, Any]) -> list[dict[str, Any]]:
    """Return rows by column if each input is a column or a key of the feature store; none if they are the graph's.

    Clients that take the names from data frames send tables this way. Texts are always rows: where a column has a
    tensor of its own, they are categories, or texts that are checked.
    """
    signature = handler.signature
    known = {*signature.input.column_names, *(signature.features.entities if signature.features else ())}
    has_texts = any(isinstance(value, list) for value in values.values())
    are_graphs = values.keys() == {tensor.name for tensor in signature.inputs}
    if not known & values.keys() or (are_graphs and not has_texts):
        return []
    columns = {name: _column(name, value) for name, value in values.items()}
    counts = {name: len(column) for name, column in columns.items()}
    if len(set(counts.values())) > 1:
        fix = "send one value a row for each column"
        raise InvalidRow(f"the columns have different lengths: {counts}", where="inputs", fix=fix)
    rows = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    return read_instances({"instances": rows}, (), signature.input.max_rows)


def _column(name: str, value: Any) -> list[Any]:
    """Return the elements of a column, shape (rows,) or (rows, 1), as Python's numbers and texts."""
    if isinstance(value, list):
        try:
            return [element if isinstance(element, str) else element.decode() for element in value]
        except UnicodeDecodeError as error:
            raise UndecodableBody("the text is not UTF-8", where=f"inputs.{name}", fix="encode it as UTF-8") from error
    if value.shape not in ((len(value),), (len(value), 1)) if value.ndim else True:
        reason = f"the input has shape {value.shape}, expected ('batch',)"
        raise InvalidRow(reason, where=f"inputs.{name}", fix="send one value a row")
    return list(value.ravel().tolist())


def _check(handler: Hooks, values: dict[str, Any]) -> dict[str, Any]:
    tensors = check_tensors(values, handler.signature, handler.free_axes(), handler.least_sizes())
    handler.check_values(tensors)
    return tensors
