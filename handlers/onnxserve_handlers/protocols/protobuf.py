"""Protocol Buffers' wire format, read and written without a library, so that an archive needs none.

Source: https://protobuf.dev/programming-guides/encoding/.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ..errors import BodyTooLarge, UndecodableBody

VARINT, FIXED64, DELIMITED, GROUP, END_GROUP, FIXED32 = range(6)  # wire types
LARGEST_NUMBER = 2**29 - 1  # of a field
TAG_BYTES, VARINT_BYTES = 5, 10
LARGEST = 2**64 - 1
FEW_BYTES = 32
DEPTH = 100  # of groups, which nobody sends any more
FIELDS = 2**14  # of one message, nested ones included: each costs some Python, a tensor's elements don't
Payload = bytes | memoryview


class Kind(NamedTuple):
    """How a field's bytes become a value, and the wire types that it may have; others are skipped like unknown fields.

    `read` raises ValueError.
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
    """A message's fields by their numbers; fields that aren't named here are skipped."""

    fields: Mapping[int, Field]


def _varint(data: memoryview, at: int) -> tuple[int, int]:
    if at < len(data) and data[at] < 0x80:  # by far most of them
        return data[at], at + 1
    value = 0
    for place, octet in enumerate(data[at : at + VARINT_BYTES]):
        value |= (octet & 0x7F) << 7 * place
        if octet < 0x80:
            return value, at + place + 1
    raise ValueError("a number is cut off")


def _varints(data: memoryview) -> npt.NDArray[np.uint64]:
    """Every number of packed ones, modulo 2**64; of a few in a loop, which then costs less than arrays."""
    if len(data) <= FEW_BYTES:
        few, at = [], 0
        while at < len(data):
            value, at = _varint(data, at)
            few.append(value & LARGEST)
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
    for place in range(lengths.max()):
        longer = np.flatnonzero(lengths > place)
        part = (octets[starts[longer] + place] & 0x7F).astype(np.uint64)
        values[longer] |= part << np.uint64(7 * place)
    return values


def _fixed(dtype: str, wire: int) -> Kind:
    return Kind((DELIMITED, wire), lambda data: np.frombuffer(data, dtype))


# Numbers come as arrays, packed or one a field; as little-endian as the wire, without a copy where it has them so.
BOOL = Kind((DELIMITED, VARINT), lambda data: _varints(data) != 0)
INT32 = Kind((DELIMITED, VARINT), lambda data: _varints(data).astype(np.uint32).view(np.int32))
INT64 = Kind((DELIMITED, VARINT), lambda data: _varints(data).view(np.int64))
UINT32 = Kind((DELIMITED, VARINT), lambda data: _varints(data).astype(np.uint32))
UINT64 = Kind((DELIMITED, VARINT), _varints)
FLOAT = _fixed("<f4", FIXED32)
DOUBLE = _fixed("<f8", FIXED64)
TEXT = Kind((DELIMITED,), lambda data: str(data, "utf-8"))
BYTES = Kind((DELIMITED,), lambda data: data)


def read_message(message: Message, data: memoryview) -> dict[str, Any]:
    """The values of a message by name, without fields that aren't there; UndecodableBody or BodyTooLarge.

    A repeated field is a list of its parts, where a part of numbers is an array: `numbers` joins them. Bytes are views
    of `data`. A field that isn't repeated keeps its last value, and a message that comes again is merged.
    """
    found: dict[str, Any] = {}
    _Reader().read(message, data, found, "")
    return found


def numbers(parts: list[npt.NDArray[Any]]) -> npt.NDArray[Any]:
    """The elements of a repeated field of numbers, shape (elements,)."""
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
                    if wire in field.kind.wires:
                        self._value(field, field.kind, payload, into, where)
                elif wire == DELIMITED:
                    self._nested(field, field.kind, payload, into, where)
        except ValueError as error:
            raise UndecodableBody(f"not a protobuf message: {error}", where=where.rstrip(".") or "body") from error

    def _value(self, field: Field, kind: Kind, payload: memoryview, into: dict[str, Any], where: str) -> None:
        try:
            value = kind.read(payload)
        except ValueError as error:
            raise UndecodableBody(f"not a protobuf message: {error}", where=f"{where}{field.name}") from error
        if field.repeated:
            into.setdefault(field.name, []).append(value)
        else:
            into[field.name] = value

    def _nested(self, field: Field, message: Message, payload: memoryview, into: dict[str, Any], where: str) -> None:
        if not field.repeated:
            self.read(message, payload, into.setdefault(field.name, {}), f"{where}{field.name}.")
            return
        siblings = into.setdefault(field.name, [])
        siblings.append({})
        self.read(message, payload, siblings[-1], f"{where}{field.name}[{len(siblings) - 1}].")

    def _fields(self, data: memoryview) -> Iterator[tuple[int, int, memoryview]]:
        """Number, wire type and bytes of each field; those within groups are skipped."""
        at, end = 0, len(data)
        groups: list[int] = []
        while at < end:
            self._left -= 1
            if self._left < 0:
                raise BodyTooLarge(f"more than {FIELDS} fields", fix="send numbers packed or raw")
            tag, start = _varint(data, at)
            number, wire = tag >> 3, tag & 7
            if not 0 < number <= LARGEST_NUMBER or start - at > TAG_BYTES:
                raise ValueError(f"there is no field {number}")
            if wire == DELIMITED:
                size, start = _varint(data, start)
                at = start + size
            else:
                at = self._end(data, start, wire, number, groups)
            if at > end:
                raise ValueError(f"field {number} is cut off")
            if not groups:
                yield number, wire, data[start:at]
        if groups:
            raise ValueError(f"group {groups[-1]} is cut off")

    @staticmethod
    def _end(data: memoryview, at: int, wire: int, number: int, groups: list[int]) -> int:
        """Where a field ends that doesn't say its length."""
        if wire == VARINT:
            return _varint(data, at)[1]
        if wire == FIXED32:
            return at + 4
        if wire == FIXED64:
            return at + 8
        if wire == GROUP and len(groups) < DEPTH:
            groups.append(number)
            return at
        if wire == END_GROUP and groups and groups.pop() == number:
            return at
        raise ValueError(f"field {number} has wire type {wire}")


def varint(value: int) -> bytes:
    """A number of at most 64 bits, not negative."""
    found = bytearray()
    while value > 0x7F:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    found.append(value)
    return bytes(found)


def delimited(number: int, *parts: Payload) -> list[Payload]:
    """A field of bytes, text or a message, in parts that belong behind one another."""
    return [varint(number << 3 | DELIMITED) + varint(sum(map(len, parts))), *parts]
