"""Open Inference Protocol V2 over gRPC: `ModelInferRequest` in, `ModelInferResponse` out, in frames of gRPC.

Sources: https://github.com/kserve/open-inference-protocol, specification/protocol/open_inference_grpc.proto, and
https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from ..errors import MalformedFrame, RequestError, UndecodableBody, UnimplementedCall
from ..inputs.tensors_arrays import check_shape
from ..response import Response, Result
from ..signature import BYTES as TEXTS
from ..signature import Signature
from .protobuf import (
    BOOL,
    BYTES,
    DOUBLE,
    FLOAT,
    INT32,
    INT64,
    TEXT,
    UINT32,
    UINT64,
    UINT64_MASK,
    Field,
    Message,
    Payload,
    delimited,
    join_numbers,
    read_message,
    varint,
)
from .v2_http import (
    InferRequest,
    InputTensor,
    RequestedOutput,
    check_names,
    error_line,
    from_binary,
    from_json,
    pack_elements,
    select_outputs,
)

# The protocol's messages, as far as a model reads them. A parameter has the last of its fields that was sent.
VALUE = Message(
    {
        1: Field("bool_param", BOOL),
        2: Field("int64_param", INT64),
        3: Field("string_param", TEXT),
        4: Field("double_param", DOUBLE),  # this one and the next are Triton's
        5: Field("uint64_param", UINT64),
    }
)
PARAMETERS = Field("parameters", Message({1: Field("key", TEXT), 2: Field("value", VALUE)}), repeated=True)
CONTENTS = Message(
    {
        1: Field("bool_contents", BOOL, repeated=True),
        2: Field("int_contents", INT32, repeated=True),
        3: Field("int64_contents", INT64, repeated=True),
        4: Field("uint_contents", UINT32, repeated=True),
        5: Field("uint64_contents", UINT64, repeated=True),
        6: Field("fp32_contents", FLOAT, repeated=True),
        7: Field("fp64_contents", DOUBLE, repeated=True),
        8: Field("bytes_contents", BYTES, repeated=True),
    }
)
INPUT = Message(
    {
        1: Field("name", TEXT),
        2: Field("datatype", TEXT),
        3: Field("shape", INT64, repeated=True),
        4: PARAMETERS,
        5: Field("contents", CONTENTS),
    }
)
REQUEST = Message(
    {
        1: Field("model_name", TEXT),
        2: Field("model_version", TEXT),
        3: Field("id", TEXT),
        4: PARAMETERS,
        5: Field("inputs", INPUT, repeated=True),
        6: Field("outputs", Message({1: Field("name", TEXT), 2: PARAMETERS}), repeated=True),
        7: Field("raw_input_contents", BYTES, repeated=True),
    }
)
CONTENTS_OF = {
    "BOOL": "bool_contents",
    **dict.fromkeys(("INT8", "INT16", "INT32"), "int_contents"),
    "INT64": "int64_contents",
    **dict.fromkeys(("UINT8", "UINT16", "UINT32"), "uint_contents"),
    "UINT64": "uint64_contents",
    "FP32": "fp32_contents",
    "FP64": "fp64_contents",
}


def read_call(body: bytes | bytearray) -> tuple[InferRequest, dict[str, Any]]:
    """Return the request and its inputs by name: arrays, or lists of bytes for BYTES. `body` is a frame of gRPC.

    Raises UndecodableBody, BodyTooLarge, UnimplementedCall or MalformedFrame, and InvalidRow for a tensor whose shape
    doesn't fit its elements. Raw elements are not copied.
    """
    call = read_message(REQUEST, read_frame(body))
    tensors, raw = call.get("inputs", []), call.get("raw_input_contents", [])
    if raw and len(raw) != len(tensors):
        raise UndecodableBody(
            f"there are {len(raw)} raw_input_contents for {len(tensors)} inputs",
            where="inputs",
            fix="send one for each input, or none",
        )
    inputs = [_input(tensor) for tensor in tensors]
    check_names(inputs)
    values: dict[str, Any] = {}
    for index, (declared, tensor) in enumerate(zip(inputs, tensors, strict=True)):
        contents = tensor.get("contents")
        if raw and contents is not None:
            raise UndecodableBody(
                "the elements are both raw and typed", where=f"inputs.{declared.name}", fix="send them once"
            )
        values[declared.name] = from_binary(declared, raw[index]) if raw else _elements(declared, contents or {})
    outputs = [RequestedOutput(output.get("name", ""), parameters_of(output)) for output in call.get("outputs", [])]
    return InferRequest(inputs, call.get("id", ""), parameters_of(call), outputs), values


def parameters_of(message: dict[str, Any]) -> dict[str, Any]:
    """Return the parameters of a request or an output by name, None for one without a value."""
    return {
        entry.get("key", ""): next(reversed(entry.get("value", {}).values()), None)
        for entry in message.get("parameters", [])
    }


def _input(tensor: dict[str, Any]) -> InputTensor:
    shape = join_numbers(tensor["shape"]).tolist() if "shape" in tensor else []
    return InputTensor(tensor.get("name", ""), shape, tensor.get("datatype", ""))


def _elements(tensor: InputTensor, contents: dict[str, Any]) -> Any:
    """Return elements that are sent in the field of their type."""
    if tensor.datatype == TEXTS:
        texts = [bytes(element) for element in contents.get("bytes_contents", [])]
        check_shape(tensor.shape, len(texts), tensor.name)
        return texts
    if tensor.datatype not in CONTENTS_OF:
        raise UndecodableBody(
            f"{tensor.datatype} can't be sent in contents", where=f"inputs.{tensor.name}", fix="send it raw"
        )
    parts = contents.get(CONTENTS_OF[tensor.datatype])
    tensor.data = join_numbers(parts) if parts else []
    elements, tensor.data = from_json(tensor), None  # the response needs only the names
    return elements


class V2GrpcForm:
    """Responses with raw elements, the only numbers that Triton's client reads."""

    holds_row_errors = False

    def __init__(self, request: InferRequest) -> None:
        self._request = request

    def encode_result(self, result: Result) -> Response:
        """Return a `ModelInferResponse` in its frame."""
        signature = result.signature
        message = [*_text(1, signature.model), *_text(2, signature.version), *_text(3, self._request.id)]
        elements: list[Payload] = []
        for output, (kind, shape, flat) in select_outputs(self._request.outputs, result):
            sizes = delimited(3, b"".join(map(varint, shape))) if shape else []
            message += delimited(5, *_text(1, output.name), *_text(2, kind), *sizes)
            elements += delimited(6, pack_elements(flat))
        return Response(frame([*message, *elements]), MEDIA, trailers(OK))

    def encode_error(self, error: RequestError, signature: Signature) -> Response:  # noqa: ARG002 - as forms are called
        """Return a status with its text, and no message.

        A server's error keeps its HTTP status, so that a proxy may retry.
        """
        headers = (*trailers(status_of(error), error_line(error)), ("grpc-accept-encoding", "identity"))
        return Response(b"", MEDIA, headers, 0 if error.status >= 500 else 200)


def metadata_message(metadata: Mapping[str, Any]) -> bytes:
    """Encode V2's metadata as `ModelMetadataResponse`, without the model's name and versions."""
    fields = _text(3, metadata["platform"])
    for number, name in ((4, "inputs"), (5, "outputs")):
        for tensor in metadata[name]:
            shape = b"".join(varint(size & UINT64_MASK) for size in tensor["shape"])
            fields += delimited(number, *_text(1, tensor["name"]), *_text(2, tensor["datatype"]), *delimited(3, shape))
    return b"".join(fields)


def _text(number: int, value: str) -> list[Payload]:
    """Encode a field of text; protobuf leaves out the empty one."""
    return delimited(number, value.encode()) if value else []


MEDIA = "application/grpc"
MEDIA_TYPES = frozenset({MEDIA, f"{MEDIA}+proto"})
PREFIX = struct.Struct(">BI")  # whether the message is compressed, and its length
MESSAGE_BYTES = 700  # of an error's text: proxies bound headers, and a byte may be encoded as three
PRINTABLE = "".join(chr(code) for code in range(0x20, 0x7F) if chr(code) != "%")

# https://github.com/grpc/grpc/blob/master/doc/statuscodes.md
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


def read_frame(body: bytes | bytearray) -> memoryview:
    """Return the one message of a call without a copy.

    Raises UnimplementedCall or MalformedFrame where gRPC's own servers answer these statuses.
    """
    if len(body) < PREFIX.size:
        raise MalformedFrame(f"{len(body)} bytes are shorter than a frame's prefix", fix="send whole frames")
    compressed, size = PREFIX.unpack_from(body)
    if compressed == 1:
        raise UnimplementedCall("the message is compressed", fix="send it without compression")
    if compressed or PREFIX.size + size > len(body):
        reason = f"the frame has flag {compressed} and {size} bytes, the body {len(body)}"
        raise MalformedFrame(reason, fix="send whole frames with flag 0")
    if PREFIX.size + size < len(body):
        raise UnimplementedCall("the call has more than one message", fix="send one message in a call")
    return memoryview(body)[PREFIX.size :]


def frame(message: Sequence[Payload]) -> bytes:
    """Return a message in its frame."""
    return b"".join([PREFIX.pack(0, sum(map(len, message))), *message])


def status_of(error: RequestError) -> int:
    """Return an error's status; for a kind of a user's handler, its HTTP status decides whose fault it is."""
    return STATUS.get(error.kind, INVALID_ARGUMENT if error.status < 500 else INTERNAL)


def trailers(status: int, text: str = "") -> Headers:
    """Return status and message as headers that a proxy in front turns into gRPC's trailers.

    A long text is cut. It is percent-encoded, as the protocol demands.
    """
    if status == OK:
        return (("x-grpc-status", "0"),)
    short = text.encode()[:MESSAGE_BYTES].decode(errors="ignore")
    return (("x-grpc-status", str(status)), ("x-grpc-message", quote(short, safe=PRINTABLE)))
