"""Messages of V2's gRPC service by protobuf's own library; a contract test holds them to KServe's and Triton's."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, json_format, message_factory, text_format

SCHEMA = Path(__file__).parents[1] / "schemas" / "inference.txtpb"


def file_descriptors() -> Any:
    """Return the service and its messages as a FileDescriptorSet."""
    file = text_format.Parse(SCHEMA.read_text(encoding="utf-8"), descriptor_pb2.FileDescriptorProto())
    return descriptor_pb2.FileDescriptorSet(file=[file])


pool = descriptor_pool.DescriptorPool()
for file in file_descriptors().file:
    pool.Add(file)
SERVICE: str = pool.FindServiceByName("inference.GRPCInferenceService").full_name


def kind(name: str) -> Any:
    """Return the class of a message."""
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(f"inference.{name}"))


def message_of(name: str, /, **fields: Any) -> Any:
    """Return a message with these fields, of which bytes are in base64."""
    return json_format.ParseDict(fields, kind(name)())


def framed(message: Any) -> bytes:
    """Return a message or its bytes as one frame of gRPC."""
    content: bytes = message if isinstance(message, bytes) else message.SerializeToString()
    return struct.pack(">BI", 0, len(content)) + content


def unframed(body: bytes, name: str = "ModelInferResponse") -> Any:
    """Return the message in a frame."""
    compressed, size = struct.unpack_from(">BI", body)
    assert (compressed, size) == (0, len(body) - 5)
    return kind(name).FromString(body[5:])
