"""The messages that we read, and those of our tests, agree with the ones that KServe and Triton publish."""

from __future__ import annotations

import base64
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import descriptor_pb2

from onnxserve_handlers.protocols import protobuf
from onnxserve_handlers.protocols.protobuf import Message
from onnxserve_handlers.protocols.v2_grpc import REQUEST
from tests.helpers.messages import file_descriptors

CLIENTS = Path(__file__).parents[2] / ".venv" / "clients" / "bin" / "python"
MODULES = {"kserve": "kserve.protocol.grpc.grpc_predict_v2_pb2", "triton": "tritonclient.grpc.service_pb2"}
TRITONS = {".InferParameter.double_param", ".InferParameter.uint64_param"}  # which other servers don't know
FIELD = descriptor_pb2.FieldDescriptorProto
TYPES = {
    protobuf.BOOL: FIELD.TYPE_BOOL,
    protobuf.INT32: FIELD.TYPE_INT32,
    protobuf.INT64: FIELD.TYPE_INT64,
    protobuf.UINT32: FIELD.TYPE_UINT32,
    protobuf.UINT64: FIELD.TYPE_UINT64,
    protobuf.FLOAT: FIELD.TYPE_FLOAT,
    protobuf.DOUBLE: FIELD.TYPE_DOUBLE,
    protobuf.TEXT: FIELD.TYPE_STRING,
    protobuf.BYTES: FIELD.TYPE_BYTES,
}


def published(module: str) -> Any:
    """Return the published file, read in a process of its own, since both have messages of the same names."""
    code = f"import base64, {module} as m; print(base64.b64encode(m.DESCRIPTOR.serialized_pb).decode())"
    completed = subprocess.run([str(CLIENTS), "-c", code], capture_output=True, text=True, check=False, timeout=120)
    assert completed.returncode == 0, completed.stderr
    return descriptor_pb2.FileDescriptorProto.FromString(base64.b64decode(completed.stdout))


def fields_of(messages: Any, path: str = "") -> Iterator[tuple[str, int, int, int, str]]:
    """Yield path, number, type, label and message of every field."""
    for message in messages:
        place = f"{path}.{message.name}"
        for field in message.field:
            yield f"{place}.{field.name}", field.number, field.type, field.label, field.type_name
        yield from fields_of(message.nested_type, place)


@pytest.mark.parametrize("name", MODULES)
def test_messages_and_methods_are_the_published_ones(name):
    public, [ours] = published(MODULES[name]), file_descriptors().file
    assert len(list(fields_of(ours.message_type))) > 40
    unpublished = {path for path, *_ in set(fields_of(ours.message_type)) - set(fields_of(public.message_type))}
    assert unpublished == (set() if name == "triton" else TRITONS)
    methods = {(method.name, method.input_type, method.output_type) for method in public.service[0].method}
    assert {(method.name, method.input_type, method.output_type) for method in ours.service[0].method} <= methods


def test_fields_of_a_request_are_read_by_their_numbers_and_types():
    [ours] = file_descriptors().file
    kinds = {f".inference.{path.removeprefix('.')}": message for path, message in messages_of(ours.message_type)}
    assert not differences(REQUEST, kinds[".inference.ModelInferRequest"], kinds)


def messages_of(messages: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    for message in messages:
        place = f"{path}.{message.name}"
        yield place, message
        yield from messages_of(message.nested_type, place)


def differences(ours: Message, public: Any, kinds: dict[str, Any]) -> list[str]:
    """Return the fields that differ from the published ones."""
    faults = []
    published_fields = {field.number: field for field in public.field}
    if set(ours.fields) != set(published_fields):
        faults.append(f"{public.name}: {sorted(ours.fields)} of {sorted(published_fields)}")
    for number, field in ours.fields.items():
        other = published_fields[number]
        if (field.name, field.repeated) != (other.name, other.label == FIELD.LABEL_REPEATED):
            faults.append(f"{public.name}.{field.name}: {other}")
        if isinstance(field.kind, Message):
            faults += differences(field.kind, kinds[other.type_name], kinds)
        elif TYPES[field.kind] != other.type:
            faults.append(f"{public.name}.{field.name}: {other}")
    return faults
