"""Protocol Buffers' wire format, read and written without a library, so that an archive doesn't depend on one.

Source: https://protobuf.dev/programming-guides/encoding/.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ..errors import BodyTooLarge, UndecodableBody

FIX = "send what a library of protobuf writes for the protocol's messages"
VARINT, FIXED64, DELIMITED, GROUP, END_GROUP, FIXED32 = range(6)  # wire types
LARGEST_FIELD_NUMBER = 2**29 - 1
TAG_BYTES, VARINT_BYTES = 5, 10
UINT64_MASK = 2**64 - 1
FEW_BYTES = 32
DEPTH = 100  # of nested groups, which are deprecated
FIELDS = 2**14  # of one message, with those of nested ones: each costs time in Python, a tensor's elements don't
Payload = bytes | memoryview


class Kind(NamedTuple):
    """The wire types that a field may have, and the function that makes a value of its bytes or raises ValueError.

    Only the last of them is that of a field that isn't repeated: its one number is never packed. A field with another
    wire type is skipped like an unknown one.
    """

    wires: tuple[int, ...]
    read: Callable[[memoryview], Any]


class Field(NamedTuple):
    """One field of a message."""

    name: str
    kind: Kind | Message
    repeated: bool = False


@dataclass(frozen=True)
class Message:
    """A message's fields by number; fields with other numbers are skipped."""

    fields: Mapping[int, Field]


def _read_varint(data: memoryview, position: int) -> tuple[int, int]:
    """Return a number and the position after it."""
    if position < len(data) and data[position] < 0x80:  # most numbers have one byte
        return data[position], position + 1
    value = 0
    for index, octet in enumerate(data[position : position + VARINT_BYTES]):
        value |= (octet & 0x7F) << 7 * index
        if octet < 0x80:
            return value, position + index + 1
    raise ValueError("a number is cut off")


def _read_varints(data: memoryview) -> npt.NDArray[np.uint64]:
    """Return packed numbers, modulo 2**64, shape (numbers,); for few bytes a loop is faster than arrays."""
    if len(data) <= FEW_BYTES:
        few, position = [], 0
        while position < len(data):
            value, position = _read_varint(data, position)
            few.append(value & UINT64_MASK)
        return np.array(few, np.uint64)
    octets = np.frombuffer(data, np.uint8)
    last = octets < 0x80
    if not last[-1]:
        raise ValueError("a number is cut off")
    stops = np.flatnonzero(last) + 1
    starts = np.concatenate(([0], stops[:-1]))
    lengths = stops - starts
    if lengths.max() > VARINT_BYTES:
        raise ValueError("a number is cut off")
    values = np.zeros(len(stops), np.uint64)
    for index in range(lengths.max()):
        longer = np.flatnonzero(lengths > index)
        part = (octets[starts[longer] + index] & 0x7F).astype(np.uint64)
        values[longer] |= part << np.uint64(7 * index)
    return values


def _fixed_size(dtype: str, wire: int) -> Kind:
    return Kind((DELIMITED, wire), lambda data: np.frombuffer(data, dtype))


# Numbers are read as arrays, whether they are packed or one per field; fixed-size ones keep the wire's little-endian
# bytes without a copy.
BOOL = Kind((DELIMITED, VARINT), lambda data: _read_varints(data) != 0)
INT32 = Kind((DELIMITED, VARINT), lambda data: _read_varints(data).astype(np.uint32).view(np.int32))
INT64 = Kind((DELIMITED, VARINT), lambda data: _read_varints(data).view(np.int64))
UINT32 = Kind((DELIMITED, VARINT), lambda data: _read_varints(data).astype(np.uint32))
UINT64 = Kind((DELIMITED, VARINT), _read_varints)
FLOAT = _fixed_size("<f4", FIXED32)
DOUBLE = _fixed_size("<f8", FIXED64)
TEXT = Kind((DELIMITED,), lambda data: str(data, "utf-8"))
BYTES = Kind((DELIMITED,), lambda data: data)


def read_message(message: Message, data: memoryview) -> dict[str, Any]:
    """Return the values of a message by field name, without absent fields; raises UndecodableBody or BodyTooLarge.

    A repeated field is a list of its parts; a part of numbers is an array, and `join_numbers` joins them. Bytes are
    views of `data`. A field that isn't repeated keeps its last value, which comes last in the mapping too, as a `oneof`
    wants it; a nested message that comes again is merged.
    """
    values: dict[str, Any] = {}
    _Reader().read(message, data, values, "")
    return values


def join_numbers(parts: list[npt.NDArray[Any]]) -> npt.NDArray[Any]:
    """Return the elements of a repeated field of numbers, shape (elements,)."""
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


class _Reader:
    def __init__(self) -> None:
        self._left = FIELDS

    def read(self, message: Message, data: memoryview, into: dict[str, Any], where: str) -> None:
        try:
            for number, wire, payload in self._fields(data):
                field = message.fields.get(number)
                if field is None:
                    continue
                if isinstance(field.kind, Kind):
                    if wire in field.kind.wires[0 if field.repeated else -1 :]:
                        self._read_value(field, field.kind, payload, into, where)
                elif wire == DELIMITED:
                    self._read_nested(field, field.kind, payload, into, where)
        except ValueError as error:
            raise UndecodableBody(
                f"not a protobuf message: {error}", where=where.rstrip(".") or "body", fix=FIX
            ) from error

    def _read_value(self, field: Field, kind: Kind, payload: memoryview, into: dict[str, Any], where: str) -> None:
        try:
            value = kind.read(payload)
        except ValueError as error:
            raise UndecodableBody(f"not a protobuf message: {error}", where=f"{where}{field.name}", fix=FIX) from error
        if field.repeated:
            into.setdefault(field.name, []).append(value)
        else:
            into.pop(field.name, None)
            into[field.name] = value[0].item() if isinstance(value, np.ndarray) else value

    def _read_nested(
        self, field: Field, message: Message, payload: memoryview, into: dict[str, Any], where: str
    ) -> None:
        if not field.repeated:
            self.read(message, payload, into.setdefault(field.name, {}), f"{where}{field.name}.")
            return
        siblings = into.setdefault(field.name, [])
        siblings.append({})
        self.read(message, payload, siblings[-1], f"{where}{field.name}[{len(siblings) - 1}].")

    def _fields(self, data: memoryview) -> Iterator[tuple[int, int, memoryview]]:
        """Yield number, wire type and bytes of each field; fields within groups are skipped."""
        position, end = 0, len(data)
        groups: list[int] = []
        while position < end:
            self._left -= 1
            if self._left < 0:
                raise BodyTooLarge(f"the message has more than {FIELDS} fields", fix="send numbers packed or raw")
            tag, start = _read_varint(data, position)
            number, wire = tag >> 3, tag & 7
            if not 0 < number <= LARGEST_FIELD_NUMBER or start - position > TAG_BYTES:
                raise ValueError(f"there is no field {number}")
            if wire == DELIMITED:
                size, start = _read_varint(data, start)
                position = start + size
            else:
                position = self._end_of(data, start, wire, number, groups)
            if position > end:
                raise ValueError(f"field {number} is cut off")
            if not groups:
                yield number, wire, data[start:position]
        if groups:
            raise ValueError(f"group {groups[-1]} is cut off")

    @staticmethod
    def _end_of(data: memoryview, position: int, wire: int, number: int, groups: list[int]) -> int:
        """Return where a field ends that has no length before it."""
        if wire == VARINT:
            return _read_varint(data, position)[1]
        if wire == FIXED32:
            return position + 4
        if wire == FIXED64:
            return position + 8
        if wire == GROUP and len(groups) < DEPTH:
            groups.append(number)
            return position
        if wire == END_GROUP and groups and groups.pop() == number:
            return position
        raise ValueError(f"field {number} has wire type {wire}")


def varint(value: int) -> bytes:
    """Encode a number of at most 64 bits that isn't negative."""
    octets = bytearray()
    while value > 0x7F:
        octets.append(value & 0x7F | 0x80)
        value >>= 7
    octets.append(value)
    return bytes(octets)


def delimited(number: int, *parts: Payload) -> list[Payload]:
    """Encode a field of bytes, text or a message, given as parts in order."""
    return [varint(number << 3 | DELIMITED) + varint(sum(map(len, parts))), *parts]
