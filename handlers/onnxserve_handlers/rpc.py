"""Open Inference Protocol V2 over gRPC: `ModelInferRequest` in, `ModelInferResponse` out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .datatypes import BYTES
from .errors import RequestError, UndecodableBody
from .forms import Answer, Result
from .grpc import MEDIA, OK, framed, message_of, status_of, trailers
from .oip import (
    InferRequest,
    InputTensor,
    WantedOutput,
    check_names,
    from_binary,
    from_json,
    line,
    packed,
    wanted,
)
from .protobuf import LARGEST, Payload, delimited, numbers, read_message, varint
from .signature import Signature
from .tensors import shaped
from .v2_messages import CONTENTS_OF, REQUEST


def read_call(body: bytes | bytearray) -> tuple[InferRequest, dict[str, Any]]:
    """The request, and its inputs by name: arrays, or lists of bytes for BYTES. `body` is a frame of gRPC's.

    Raises UndecodableBody, BodyTooLarge, UnimplementedCall or MalformedFrame, and InvalidRow for a tensor that its
    elements don't make. Elements that are raw are not copied.
    """
    call = read_message(REQUEST, message_of(body))
    tensors, raw = call.get("inputs", []), call.get("raw_input_contents", [])
    if raw and len(raw) != len(tensors):
        raise UndecodableBody(f"{len(raw)} raw_input_contents of {len(tensors)} inputs", where="inputs")
    inputs = [_input(tensor) for tensor in tensors]
    check_names(inputs)
    values: dict[str, Any] = {}
    for index, (declared, tensor) in enumerate(zip(inputs, tensors, strict=True)):
        contents = tensor.get("contents")
        if raw and contents is not None:
            raise UndecodableBody("elements both raw and not", where=f"inputs.{declared.name}", fix="send them once")
        values[declared.name] = from_binary(declared, raw[index]) if raw else _elements(declared, contents or {})
    outputs = [WantedOutput(output.get("name", "")) for output in call.get("outputs", [])]
    return InferRequest(inputs, call.get("id", ""), outputs=outputs), values


def _input(tensor: dict[str, Any]) -> InputTensor:
    shape = numbers(tensor["shape"]).tolist() if "shape" in tensor else []
    return InputTensor(tensor.get("name", ""), shape, tensor.get("datatype", ""))


def _elements(tensor: InputTensor, contents: dict[str, Any]) -> Any:
    """Elements by their type."""
    if tensor.datatype == BYTES:
        texts = [bytes(element) for element in contents.get("bytes_contents", [])]
        shaped(tensor.shape, len(texts), tensor.name)
        return texts
    if tensor.datatype not in CONTENTS_OF:
        raise UndecodableBody(f"{tensor.datatype} has no contents", where=f"inputs.{tensor.name}", fix="send it raw")
    parts = contents.get(CONTENTS_OF[tensor.datatype])
    tensor.data = numbers(parts) if parts else []
    return from_json(tensor)


class RpcForm:
    """Answers whose elements are raw: Triton's client reads numbers no other way."""

    by_row = False

    def __init__(self, request: InferRequest) -> None:
        self._request = request

    def good(self, result: Result) -> Answer:
        """`ModelInferResponse`."""
        signature = result.signature
        message = [*_text(1, signature.model), *_text(2, signature.version), *_text(3, self._request.id)]
        elements: list[Payload] = []
        for output, (kind, shape, flat) in wanted(self._request.outputs, result):
            sizes = delimited(3, b"".join(map(varint, shape))) if shape else []
            message += delimited(5, *_text(1, output.name), *_text(2, kind), *sizes)
            elements += delimited(6, packed(flat))
        return Answer(framed([*message, *elements]), MEDIA, trailers(OK))

    def bad(self, error: RequestError, signature: Signature) -> Answer:  # noqa: ARG002 - as forms are called
        """A status and its text, no message. A server's fault keeps its HTTP status, so that a proxy may try again."""
        headers = (*trailers(status_of(error), line(error)), ("grpc-accept-encoding", "identity"))
        return Answer(b"", MEDIA, headers, 0 if error.status >= 500 else 200)


def metadata_message(metadata: Mapping[str, Any]) -> bytes:
    """`ModelMetadataResponse` of what V2's metadata says over HTTP, without the model's name and version."""
    fields = _text(3, metadata["platform"])
    for number, name in ((4, "inputs"), (5, "outputs")):
        for tensor in metadata[name]:
            shape = b"".join(varint(size & LARGEST) for size in tensor["shape"])
            fields += delimited(number, *_text(1, tensor["name"]), *_text(2, tensor["datatype"]), *delimited(3, shape))
    return b"".join(fields)


def _text(number: int, value: str) -> list[Payload]:
    """A field of text; the empty one is left out, as protobuf has it."""
    return delimited(number, value.encode()) if value else []
