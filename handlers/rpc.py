"""Open Inference Protocol V2 over gRPC, as the JSON of its messages that the edge makes.

Sources: https://github.com/kserve/open-inference-protocol (open_inference_grpc.proto) and
https://protobuf.dev/programming-guides/json/: bytes are base64, 64-bit integers and NaN are strings.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import msgspec

from .datatypes import BYTES
from .errors import RequestError, UndecodableBody
from .forms import Answer, Result
from .oip import (
    InferRequest,
    InputTensor,
    OipForm,
    WantedOutput,
    check_names,
    from_binary,
    from_json,
    head_of,
    line,
    packed,
    shaped,
    wanted,
)
from .signature import Signature

MEDIA = "application/x-protobuf+json"
GRPC = "application/grpc"
# https://grpc.github.io/grpc/core/md_doc_statuscodes.html
INVALID_ARGUMENT, RESOURCE_EXHAUSTED = 3, 8
_encode = msgspec.json.Encoder().encode


class Contents(msgspec.Struct):
    """Elements by their type; one of these is filled."""

    bool_contents: list[bool] = []
    int_contents: list[int] = []
    int64_contents: list[int] = []
    uint_contents: list[int] = []
    uint64_contents: list[int] = []
    fp32_contents: list[float] = []
    fp64_contents: list[float] = []
    bytes_contents: list[bytes] = []


HOLDS = {
    "BOOL": "bool_contents",
    **dict.fromkeys(("INT8", "INT16", "INT32"), "int_contents"),
    "INT64": "int64_contents",
    **dict.fromkeys(("UINT8", "UINT16", "UINT32"), "uint_contents"),
    "UINT64": "uint64_contents",
    "FP32": "fp32_contents",
    "FP64": "fp64_contents",
}


class CalledTensor(msgspec.Struct):
    """One entry of `inputs`."""

    name: str
    datatype: str
    shape: list[int] = []
    contents: Contents | None = None


class Call(msgspec.Struct):
    """`ModelInferRequest`; its parameters say nothing that is read here."""

    inputs: list[CalledTensor] = []
    outputs: list[WantedOutput] = []
    id: str = ""
    raw_input_contents: list[bytes] = []


def read_call(content: bytes | bytearray) -> tuple[InferRequest, dict[str, Any]]:
    """The request, and its inputs by name: arrays, or lists of bytes for BYTES."""
    try:
        call = msgspec.convert(msgspec.json.decode(content), Call, strict=False)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UndecodableBody(f"not a ModelInferRequest: {error}", where="inputs") from error
    raw = call.raw_input_contents
    if raw and len(raw) != len(call.inputs):
        raise UndecodableBody(f"{len(raw)} raw_input_contents of {len(call.inputs)} inputs", where="inputs")
    inputs = [InputTensor(one.name, one.shape, one.datatype) for one in call.inputs]
    check_names(inputs)
    values: dict[str, Any] = {}
    for index, (tensor, one) in enumerate(zip(inputs, call.inputs, strict=True)):
        if raw and one.contents is not None:
            raise UndecodableBody("elements both raw and not", where=f"inputs.{one.name}", fix="send them once")
        values[one.name] = from_binary(tensor, memoryview(raw[index])) if raw else _held(tensor, one.contents)
    return InferRequest(inputs, call.id, outputs=call.outputs), values


def _held(tensor: InputTensor, contents: Contents | None) -> Any:
    contents = contents or Contents()
    if tensor.datatype == BYTES:
        shaped(tensor, len(contents.bytes_contents))
        return contents.bytes_contents
    if tensor.datatype not in HOLDS:
        raise UndecodableBody(f"{tensor.datatype} has no contents", where=f"inputs.{tensor.name}", fix="send it raw")
    tensor.data = getattr(contents, HOLDS[tensor.datatype])
    return from_json(tensor)


class RpcForm:
    """Answers whose elements are raw: Triton's client reads numbers no other way."""

    def __init__(self, request: InferRequest) -> None:
        self._request = request

    def good(self, result: Result) -> Answer:
        """`ModelInferResponse`."""
        found = wanted(self._request.outputs, result)
        shown = [{"name": one.name, "datatype": kind, "shape": shape} for one, (kind, shape, _) in found]
        raw = [packed(flat) for _, (_, _, flat) in found]
        head = head_of(result.signature, self._request.id)
        return Answer(_encode(head | {"outputs": shown, "raw_output_contents": raw}))

    def bad(self, error: RequestError, signature: Signature) -> Answer:
        """The caller's faults as gRPC says them; of others the edge may make another try, so they stay HTTP's."""
        if error.status >= 500:
            return OipForm(self._request).bad(error, signature)
        status = RESOURCE_EXHAUSTED if error.status == 413 else INVALID_ARGUMENT
        text = quote(line(error), safe=" ,;:'\"()[]{}<>=!?/+-*&#@")
        return Answer(b"", GRPC, (("grpc-status", str(status)), ("grpc-message", text)))
