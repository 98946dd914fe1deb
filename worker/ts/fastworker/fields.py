"""The protocol's fields: integers of 32 bits, signed, big-endian; text and bytes after their length; lists end with -1.

Source: TorchServe 0.12, `ts/protocol/otf_message_handler.py`.
"""

from __future__ import annotations

import struct

END = -1
END_BYTES = b"\xff\xff\xff\xff"
FIELD_LIMIT = 2**30  # bytes; the frontend's own limit on a body is far below
_unpack = struct.Struct("!i").unpack_from


class BadFrame(Exception):
    """Bytes that aren't the protocol; the connection can't be trusted any more."""


class Short(Exception):
    """The buffer ends before the field does; `needed` bytes would do."""

    def __init__(self, needed: int) -> None:
        self.needed = needed


def span(buffer: bytes | bytearray, at: int) -> tuple[int, int]:
    """Where a length-prefixed field begins and ends; `stop` -1 marks the end of a list."""
    start = at + 4
    if start > len(buffer):
        raise Short(start)
    size = _unpack(buffer, at)[0]
    if size < 0:
        if size == END:
            return start, END
        raise BadFrame(f"a field of {size} bytes")
    if size > FIELD_LIMIT:
        raise BadFrame(f"a field of {size} bytes, at most {FIELD_LIMIT} are accepted")
    if start + size > len(buffer):
        raise Short(start + size)
    return start, start + size


def text(buffer: bytes | bytearray, at: int) -> tuple[str, int]:
    """Text and where it ends."""
    start, stop = span(buffer, at)
    if stop == END:
        raise BadFrame("a list ended where text was expected")
    try:
        return str(buffer[start:stop], "utf-8"), stop
    except UnicodeDecodeError as error:
        raise BadFrame("text that is not UTF-8") from error


def integer(buffer: bytearray, at: int) -> tuple[int, int]:
    """An integer and where it ends."""
    if at + 4 > len(buffer):
        raise Short(at + 4)
    return _unpack(buffer, at)[0], at + 4
