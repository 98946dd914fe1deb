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
    stop = start + _unpack(buffer, at)[0]
    if start <= stop <= len(buffer):
        return start, stop
    if stop - start == END:
        return start, END
    if not start <= stop <= start + FIELD_LIMIT:
        raise BadFrame(f"a field of {stop - start} bytes, at most {FIELD_LIMIT} are accepted")
    raise Short(stop)


def text(buffer: bytes | bytearray, at: int) -> tuple[str, int]:
    """Text and where it ends."""
    start, stop = span(buffer, at)
    if stop == END:
        raise BadFrame("a list ended where text was expected")
    try:
        return buffer[start:stop].decode(), stop
    except UnicodeDecodeError as error:
        raise BadFrame("text that is not UTF-8") from error


def pairs(packed: bytes) -> dict[str, str]:
    """Texts by the texts before them, of a whole list without its end mark. In one loop: it runs for each request."""
    found: dict[str, str] = {}
    at, end = 0, len(packed)
    try:
        while at < end:
            middle = at + 4 + _unpack(packed, at)[0]
            stop = middle + 4 + _unpack(packed, middle)[0]
            if not at + 4 <= middle <= stop - 4 <= end - 4:
                raise BadFrame("a field longer than its list")
            found[packed[at + 4 : middle].decode()] = packed[middle + 4 : stop].decode()
            at = stop
    except struct.error as error:
        raise BadFrame("a header without a value") from error
    except UnicodeDecodeError as error:
        raise BadFrame("text that is not UTF-8") from error
    return found


def integer(buffer: bytearray, at: int) -> tuple[int, int]:
    """An integer and where it ends."""
    if at + 4 > len(buffer):
        raise Short(at + 4)
    return _unpack(buffer, at)[0], at + 4
