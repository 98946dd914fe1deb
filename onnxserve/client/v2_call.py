"""Messages of V2's gRPC service: `ModelInferRequest` out, `ModelInferResponse` in, with raw elements.

Source: https://github.com/kserve/open-inference-protocol, specification/protocol/open_inference_grpc.proto.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from onnxserve_handlers.protocols import protobuf
from onnxserve_handlers.protocols.protobuf import Field, Message, Payload, delimited, varint

from .tensors import Array, Tensors, datatype_of, pack, unpack

METHOD = "/inference.GRPCInferenceService/ModelInfer"
OUTPUT = Message(
    {
        1: Field("name", protobuf.TEXT),
        2: Field("datatype", protobuf.TEXT),
        3: Field("shape", protobuf.INT64, repeated=True),
    }
)
RESPONSE = Message(
    {5: Field("outputs", OUTPUT, repeated=True), 6: Field("raw_output_contents", protobuf.BYTES, repeated=True)}
)
BOOL_PARAM, INT64_PARAM, STRING_PARAM = 1, 2, 3  # fields of an `InferParameter`


def encode_call(
    model: str, version: str, tensors: Tensors, outputs: Sequence[str], parameters: Mapping[str, Any]
) -> bytes:
    """Return a `ModelInferRequest`; TypeError for a parameter that isn't a text, a whole number or a boolean."""
    parts: list[Payload] = [*_text(1, model), *_text(2, version)]
    for name, value in parameters.items():
        parts += delimited(4, *_text(1, name), *delimited(2, _parameter(name, value)))
    for name, array in tensors.items():
        shape = b"".join(map(varint, array.shape))
        parts += delimited(5, *_text(1, name), *_text(2, datatype_of(array)), *delimited(3, shape))
    for name in outputs:
        parts += delimited(6, *_text(1, name))
    for array in tensors.values():
        parts += delimited(7, pack(array))
    return b"".join(parts)


def _parameter(name: str, value: Any) -> bytes:
    if isinstance(value, str):
        return b"".join(delimited(STRING_PARAM, value.encode()))
    if not isinstance(value, int):
        raise TypeError(f"parameter {name} is sent over gRPC as a text, a whole number or a boolean, got {value!r}")
    number = BOOL_PARAM if isinstance(value, bool) else INT64_PARAM
    return varint(number << 3 | protobuf.VARINT) + varint(int(value) & protobuf.UINT64_MASK)


def _text(number: int, value: str) -> list[Payload]:
    return delimited(number, value.encode()) if value else []


def decode_call(content: bytes) -> dict[str, Array]:
    """Return the outputs of a `ModelInferResponse` by name, shapes (rows, ...); RequestError if it isn't one."""
    message = protobuf.read_message(RESPONSE, memoryview(content))
    pairs = zip(message.get("outputs", []), message.get("raw_output_contents", []), strict=True)
    return {output["name"]: unpack(output["name"], output["datatype"], _shape(output), raw) for output, raw in pairs}


def _shape(output: Mapping[str, Any]) -> list[int]:
    return [int(size) for size in protobuf.join_numbers(output["shape"])] if "shape" in output else []
