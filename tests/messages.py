"""Messages of V2's gRPC service, made from what the edge gives to Envoy."""

from __future__ import annotations

from typing import Any

from google.protobuf import descriptor_pool, json_format, message_factory

from onnxserve.edge.envoy.grpc import described

pool = descriptor_pool.DescriptorPool()
for file in described().file:
    pool.Add(file)
SERVICE: str = pool.FindServiceByName("inference.GRPCInferenceService").full_name


def kind(name: str) -> Any:
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(f"inference.{name}"))


def made(name: str, /, **fields: Any) -> Any:
    """A message with these fields, bytes in base64."""
    return json_format.ParseDict(fields, kind(name)())


def as_json(message: Any) -> bytes:
    """As Envoy writes it."""
    text = json_format.MessageToJson(
        message,
        preserving_proto_field_name=True,
        always_print_fields_with_no_presence=True,
    )
    return str(text).encode()
