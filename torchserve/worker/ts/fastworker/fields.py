"""The fields of the protocol between frontend and worker.

Integers are signed, have 32 bits and are big-endian. Text and bytes follow their length. A list ends with -1.
Source: TorchServe 0.12, `ts/protocol/otf_message_handler.py`.
"""

from __future__ import annotations

import struct

END = -1
END_BYTES = b"\xff\xff\xff\xff"
FIELD_LIMIT = 2**30  # bytes; the frontend's own limit on a body is far below
unpack = struct.Struct("!i").unpack_from


class BadFrame(Exception):
    """The bytes aren't the protocol's, so nothing more can be read from the connection."""


class Incomplete(Exception):
    """The buffer ends before the field does; it must have `needed` bytes."""

    def __init__(self, needed: int) -> None:
        self.needed = needed


def bad_size(size: int) -> BadFrame:
    """Return the error for a field's size, which is below 0 or above the limit."""
    if size == END:
        return BadFrame("a list ended where a field was expected")
    return BadFrame(f"a field of {size} bytes, at most {FIELD_LIMIT} are accepted")


def locate_field(buffer: bytes | bytearray, position: int) -> tuple[int, int]:
    """Return start and stop of a field's content; raises Incomplete or BadFrame."""
    start = position + 4
    if start > len(buffer):
        raise Incomplete(start)
    stop = start + unpack(buffer, position)[0]
    if start <= stop <= len(buffer):
        return start, stop
    if not start <= stop <= start + FIELD_LIMIT:
        raise bad_size(stop - start)
    raise Incomplete(stop)


def read_text(buffer: bytes | bytearray, position: int) -> tuple[str, int]:
    """Return a text and the position after it; raises Incomplete or BadFrame."""
    start, stop = locate_field(buffer, position)
    try:
        return buffer[start:stop].decode(), stop
    except UnicodeDecodeError as error:
        raise BadFrame("text that is not UTF-8") from error


def read_pairs(packed: bytes) -> dict[str, str]:
    """Return the texts of a list without its end mark as names and values; raises BadFrame.

    It is one loop without calls, since it runs for each request.
    """
    values: dict[str, str] = {}
    position, end = 0, len(packed)
    try:
        while position < end:
            middle = position + 4 + unpack(packed, position)[0]
            stop = middle + 4 + unpack(packed, middle)[0]
            if not position + 4 <= middle <= stop - 4 <= end - 4:
                raise BadFrame("a field longer than its list")
            values[packed[position + 4 : middle].decode()] = packed[middle + 4 : stop].decode()
            position = stop
    except struct.error as error:
        raise BadFrame("a header without a value") from error
    except UnicodeDecodeError as error:
        raise BadFrame("text that is not UTF-8") from error
    return values


def read_integer(buffer: bytearray, position: int) -> tuple[int, int]:
    """Return an integer and the position after it; raises Incomplete."""
    if position + 4 > len(buffer):
        raise Incomplete(position + 4)
    return unpack(buffer, position)[0], position + 4
