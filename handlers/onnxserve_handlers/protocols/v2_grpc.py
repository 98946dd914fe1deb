"""Open Inference Protocol V2 over gRPC: `ModelInferRequest` in, `ModelInferResponse` out."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from ..errors import MalformedFrame, RequestError, UndecodableBody, UnimplementedCall
from ..inputs.tensors import shaped
from ..response import Answer, Result
from ..signature import BYTES, Signature
from .protobuf import LARGEST, Payload, delimited, numbers, read_message, varint
from .v2_http import InferRequest, InputTensor, WantedOutput, check_names, from_binary, from_json, line, packed, wanted
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


MEDIA = "application/grpc"
READ = frozenset({MEDIA, f"{MEDIA}+proto"})
PREFIX = struct.Struct(">BI")  # whether the message is compressed, and its length
MESSAGE_BYTES = 700  # of an error's text: proxies bound headers, and a byte may take three
PRINTABLE = "".join(chr(code) for code in range(0x20, 0x7F) if chr(code) != "%")

OK = 0
INVALID_ARGUMENT = 3
DEADLINE_EXCEEDED = 4
RESOURCE_EXHAUSTED = 8
UNIMPLEMENTED = 12
INTERNAL = 13
UNAVAILABLE = 14
STATUS = {
    "bad_request": INVALID_ARGUMENT,
    "undecodable_body": INVALID_ARGUMENT,
    "unsupported_media_type": INVALID_ARGUMENT,
    "invalid_row": INVALID_ARGUMENT,
    "deadline_exceeded": DEADLINE_EXCEEDED,
    "too_large": RESOURCE_EXHAUSTED,
    "out_of_memory": RESOURCE_EXHAUSTED,
    "answer_too_large": RESOURCE_EXHAUSTED,
    "unimplemented": UNIMPLEMENTED,
    "malformed_frame": INTERNAL,
    "not_finite": INTERNAL,
    "internal_error": INTERNAL,
    "features_unavailable": UNAVAILABLE,
}

Headers = tuple[tuple[str, str], ...]


def message_of(body: bytes | bytearray) -> memoryview:
    """The one message of a call, not copied; UnimplementedCall or MalformedFrame as gRPC's own servers answer."""
    if len(body) < PREFIX.size:
        raise MalformedFrame(f"{len(body)} bytes are shorter than a frame's prefix")
    compressed, size = PREFIX.unpack_from(body)
    if compressed == 1:
        raise UnimplementedCall("the message is compressed", fix="send it without compression")
    if compressed or PREFIX.size + size > len(body):
        raise MalformedFrame(f"a frame of flag {compressed} and {size} bytes in a body of {len(body)}")
    if PREFIX.size + size < len(body):
        raise UnimplementedCall("more than one message", fix="send one message in a call")
    return memoryview(body)[PREFIX.size :]


def framed(message: Sequence[Payload]) -> bytes:
    """A message in its frame."""
    return b"".join([PREFIX.pack(0, sum(map(len, message))), *message])


def status_of(error: RequestError) -> int:
    """The status of an error; of one of a handler's own kinds, by whose fault it is."""
    return STATUS.get(error.kind, INVALID_ARGUMENT if error.status < 500 else INTERNAL)


def trailers(status: int, text: str = "") -> Headers:
    """Status and message, named so that a proxy in front can make gRPC's trailers of them.

    Text is cut where it is long, and percent-encoded as the protocol wants it.
    """
    if status == OK:
        return (("x-grpc-status", "0"),)
    short = text.encode()[:MESSAGE_BYTES].decode(errors="ignore")
    return (("x-grpc-status", str(status)), ("x-grpc-message", quote(short, safe=PRINTABLE)))
