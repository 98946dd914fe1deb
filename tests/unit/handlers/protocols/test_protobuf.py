"""Our reader of protobuf's wire format and protobuf's own library return the same values and refuse the same bytes."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pytest
from google.protobuf.message import DecodeError
from hypothesis import given, settings
from hypothesis import strategies as st

from onnxserve_handlers.errors import BodyTooLarge, UndecodableBody
from onnxserve_handlers.protocols import protobuf
from onnxserve_handlers.protocols.protobuf import FIELDS, Field, Message, delimited, read_message, varint
from onnxserve_handlers.protocols.v2_grpc import REQUEST, parameters_of
from tests.helpers.messages import kind

THEIRS = kind("ModelInferRequest")
NUMBERS = {
    "bool_contents": st.booleans(),
    "int_contents": st.integers(-(2**31), 2**31 - 1),
    "int64_contents": st.integers(-(2**63), 2**63 - 1),
    "uint_contents": st.integers(0, 2**32 - 1),
    "uint64_contents": st.integers(0, 2**64 - 1),
    "fp32_contents": st.floats(width=32, allow_nan=False),
    "fp64_contents": st.floats(allow_nan=False),
    "bytes_contents": st.binary(max_size=9),
}
CHOICES = {
    "bool_param": st.booleans(),
    "int64_param": NUMBERS["int64_contents"],
    "double_param": NUMBERS["fp64_contents"],
    "uint64_param": NUMBERS["uint64_contents"],
}


def ours(data: bytes) -> dict[str, Any]:
    return comparable(REQUEST, read_message(REQUEST, memoryview(data)))


def comparable(message: Message, values: dict[str, Any]) -> dict[str, Any]:
    """Return every field in plain Python, absent ones with protobuf's default."""
    return {
        field.name: repr(sorted(parameters_of(values).items(), key=repr))
        if field.name == "parameters"
        else value_of(field, values.get(field.name))
        for field in message.fields.values()
    }


def value_of(field: Field, value: Any) -> Any:
    if isinstance(field.kind, Message):
        return (
            [comparable(field.kind, part) for part in value or ()]
            if field.repeated
            else comparable(field.kind, value or {})
        )
    if field.repeated and field.kind is not protobuf.BYTES:
        return repr([number for part in value or () for number in part.tolist()])
    if field.repeated:
        return [bytes(part) for part in value or ()]
    return value or ""


def library_values(message: Message, read: Any) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for field in message.fields.values():
        value = getattr(read, field.name)
        if field.name == "parameters":
            choices = {name: choice_of(choice) for name, choice in value.items()}
            values[field.name] = repr(sorted(choices.items(), key=repr))
        elif isinstance(field.kind, Message):
            values[field.name] = (
                [library_values(field.kind, part) for part in value]
                if field.repeated
                else library_values(field.kind, value)
            )
        elif field.repeated and field.kind is not protobuf.BYTES:
            values[field.name] = repr(list(value))
        else:
            values[field.name] = list(value) if field.repeated else value
    return values


def choice_of(parameter: Any) -> Any:
    """Return a parameter's value, None for one without a value."""
    name = parameter.WhichOneof("parameter_choice")
    return None if name is None else getattr(parameter, name)


def without_parameters(values: Any) -> Any:
    if isinstance(values, dict):
        return {name: without_parameters(value) for name, value in values.items() if name != "parameters"}
    return [without_parameters(value) for value in values] if isinstance(values, list) else values


def same(data: bytes, *, parameters: bool = True) -> bool:
    """Return whether both readers accept the message; fails where they differ.

    Protobuf's library drops a parameter that has an unknown field beside its name and value; we read it.
    """
    try:
        expected = library_values(REQUEST, THEIRS.FromString(data))
    except DecodeError:
        with pytest.raises(UndecodableBody) as caught:
            ours(data)
        assert caught.value.where
        return False
    assert parameters or without_parameters(ours(data)) == without_parameters(expected)
    assert not parameters or ours(data) == expected
    return True


@st.composite
def requests(draw: st.DrawFn) -> Any:
    message = THEIRS(model_name=draw(st.text(max_size=5)), id=draw(st.text(max_size=5)))
    message.raw_input_contents.extend(draw(st.lists(st.binary(max_size=20), max_size=3)))
    message.parameters["a"].int64_param = draw(st.integers(-5, 5))
    message.parameters["b"].string_param = draw(st.text(max_size=3))
    message.parameters["d"].SetInParent()
    for name, values in CHOICES.items():
        setattr(message.parameters[name], name, draw(values))
    for _ in range(draw(st.integers(0, 2))):
        tensor = message.inputs.add(name=draw(st.text(max_size=5)), datatype=draw(st.sampled_from(["FP32", "BYTES"])))
        tensor.shape.extend(draw(st.lists(NUMBERS["int64_contents"], max_size=4)))
        tensor.parameters["c"].bool_param = True
        for name, values in NUMBERS.items():
            getattr(tensor.contents, name).extend(draw(st.lists(values, max_size=3)))
    for name in draw(st.lists(st.text(max_size=3), max_size=2)):
        message.outputs.add(name=name).parameters["binary_data"].bool_param = True
    return message


@given(requests())
def test_a_message_of_protobufs_library_is_read_as_it_was(message):
    assert same(message.SerializeToString())


@settings(max_examples=400)
@given(st.binary(max_size=60))
def test_any_bytes_are_taken_or_refused_as_by_protobufs_library(data):
    same(data, parameters=False)


@settings(max_examples=400)
@given(requests(), st.data())
def test_a_damaged_message_is_taken_or_refused_as_by_protobufs_library(message, data):
    content = bytearray(message.SerializeToString())
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(content)))
        content[at : at + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
    same(bytes(content), parameters=False)


def key(number: int, wire: int) -> bytes:
    return varint(number << 3 | wire)


NUMBER = st.integers(0, 2**64 - 1) | st.integers(0, 300)
LEAVES = st.one_of(
    st.tuples(st.just(protobuf.VARINT), NUMBER.map(varint)),
    st.tuples(st.just(protobuf.FIXED32), st.binary(min_size=4, max_size=4)),
    st.tuples(st.just(protobuf.FIXED64), st.binary(min_size=8, max_size=8)),
    st.tuples(st.just(protobuf.DELIMITED), st.lists(NUMBER.map(varint), max_size=3).map(b"".join)),
    st.tuples(st.just(protobuf.DELIMITED), st.binary(max_size=8)),
    st.tuples(st.just(protobuf.END_GROUP), st.just(b"")),
)
FIELD = st.tuples(st.integers(1, 9), LEAVES).map(lambda field: (field[0], *field[1]))


def packed(fields: list[tuple[int, int, bytes]]) -> bytes:
    return b"".join(
        key(number, wire) + (varint(len(content)) if wire == protobuf.DELIMITED else b"") + content
        for number, wire, content in fields
    )


MESSAGES = st.recursive(
    st.lists(FIELD, max_size=4).map(packed),
    lambda inner: st.lists(
        FIELD
        | st.tuples(st.integers(1, 9), st.just(protobuf.DELIMITED), inner)
        | st.tuples(st.integers(1, 9), inner).map(
            lambda group: (group[0], protobuf.GROUP, group[1] + key(group[0], protobuf.END_GROUP))
        ),
        max_size=5,
    ).map(packed),
    max_leaves=12,
)


@settings(max_examples=1000)
@given(MESSAGES)
def test_fields_of_any_number_type_and_depth_are_taken_or_skipped_as_by_protobufs_library(data):
    same(data, parameters=False)


@pytest.mark.parametrize(
    "data",
    [
        b"\x80" * 10 + b"\x01",  # a tag of eleven bytes
        b"\x8a\x80\x80\x80\x80\x00\x00",  # a tag of six bytes
        b"\x02\x00",  # field 0
        b"\x0e",  # wire type 6
        b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",  # a length near 2**64
        b"\x0a\x05abc",
        b"\x0a\x01\xff",  # text that is not UTF-8
        b"\x0a\x03\xed\xa0\x80",  # a surrogate
        b"\x0b\x0c",  # a group in place of text
        b"\x0b\x14",  # a group that another ends
        b"\x0b",
        b"\x0c",
        b"\x2a\x04\x1a\x02\x80\x80",  # a shape that is cut off
        b"\x2a\x06\x1a\x01\x80\x1a\x01\x01",  # a number in two halves
        b"\x2a\x05\x2a\x03\x32\x01\x00",  # a quarter of a number
        b"\x2a\x02\x18\x05\x2a\x04\x1a\x02\x05\x06",  # a shape, packed and not
        b"\x2a\x0d\x1a\x0b" + b"\xff" * 10 + b"\x01",
        b"\x2a\x2b\x1a\x29" + b"\xff" * 10 + b"\x01" * 31,  # a number of eleven bytes among many
        b"\x2a\x0c\x1a\x0a" + b"\xff" * 9 + b"\x7f",  # bits above the 64th
        b"\x0a\x01a\x0a\x01b",  # twice: the last
        b"\x22\x09\x0a\x01a\x12\x04\x10\x05\x08\x01",  # a parameter of two types: the last
        b"\x22\x0b\x0a\x01a\x12\x06\x10\x05\x08\x01\x10\x07",  # a type comes again: the last
        b"\x22\x08\x0a\x01a\x12\x03\x12\x01\x05",  # a packed number where there is one
        b"\x22\x05\x12\x03\x1a\x01z",  # no name
        b"\x22\x03\x0a\x01a",  # no value
        b"\x22\x05\x0a\x01a\x12\x00\x22\x07\x0a\x01a\x12\x02\x08\x01",  # a name twice: the last
        b"\x22\x0b\x0a\x01a\x12\x02\x08\x01\x12\x02\x10\x07",  # a value twice: merged
        b"\x2a\x0c\x2a\x04\x32\x02\x00\x00\x2a\x04\x32\x02\x00\x00",
        b"\x2a\x10\x2a\x06\x32\x04\x00\x00\x80\x3f\x2a\x06\x32\x04\x00\x00\x00\x40",  # contents twice: merged
    ],
)
def test_edges_of_the_format_are_judged_as_by_protobufs_library(data):
    same(data)


PACKED = st.lists(NUMBER.map(varint), min_size=10, max_size=60).map(b"".join) | st.binary(min_size=33, max_size=99)


@settings(max_examples=400)
@given(st.integers(1, 8), PACKED, PACKED)
def test_many_packed_numbers_are_read_as_by_protobufs_library(number, first, second):
    contents = b"".join([*delimited(number, first), *delimited(number, second)])
    same(b"".join(delimited(5, *delimited(5, contents))))


@pytest.mark.parametrize(
    ("second", "where"),
    [(delimited(3, b"\x80"), "inputs[1].shape"), ([*delimited(1, b"x"), b"\x1a\x09"], "inputs[1]")],
)
def test_an_error_says_where(second, where):
    broken = b"".join([*delimited(5, *delimited(1, b"x")), *delimited(5, *second)])
    with pytest.raises(UndecodableBody, match="cut off") as caught:
        ours(broken)
    assert caught.value.where == where


def test_elements_are_views_of_the_message():
    raw = np.arange(1000, dtype=np.float32)
    data = THEIRS(raw_input_contents=[raw.tobytes()]).SerializeToString()
    [view] = read_message(REQUEST, memoryview(data))["raw_input_contents"]
    assert np.shares_memory(np.frombuffer(view, np.float32), np.frombuffer(data, np.uint8))
    contents = THEIRS()
    contents.inputs.add().contents.fp32_contents.extend(raw.tolist())
    data = contents.SerializeToString()
    [part] = read_message(REQUEST, memoryview(data))["inputs"][0]["contents"]["fp32_contents"]
    assert np.shares_memory(part, np.frombuffer(data, np.uint8))


def test_a_message_of_very_many_fields_is_refused_before_it_costs_much():
    few, many = b"\x78\x00" * FIELDS, b"\x78\x00" * 1_000_000
    assert ours(few)["id"] == ""
    start = time.monotonic()
    with pytest.raises(BodyTooLarge, match="fields"):
        ours(many)
    nested = b"".join(delimited(5, b"\x78\x00" * (FIELDS // 2)))
    with pytest.raises(BodyTooLarge, match="fields"):
        ours(nested * 3)
    assert time.monotonic() - start < 10


def test_groups_are_skipped_to_a_bounded_depth():
    assert same(b"\x7b" * 50 + b"\x7c" * 50)
    with pytest.raises(UndecodableBody):
        ours(b"\x7b" * 5000 + b"\x7c" * 5000)


@given(st.integers(0, 2**64 - 1))
def test_a_number_is_written_as_it_is_read(number):
    [part] = read_message(
        Message({1: Field("x", protobuf.UINT64, repeated=True)}), memoryview(b"\x08" + varint(number))
    )["x"]
    assert part.tolist() == [number]
