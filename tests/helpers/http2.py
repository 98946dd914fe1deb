"""HTTP/2 as frames (RFC 9113) with headers as plain literals (RFC 7541, 6.2.2), for what no library sends."""

from __future__ import annotations

import contextlib
import socket
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import IO

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = 0, 1, 3, 4, 6, 7, 8, 9
END_STREAM, ACK, END_HEADERS = 1, 1, 4
INDEXED_STATUS = {8: 200, 9: 204, 10: 206, 11: 304, 12: 400, 13: 404, 14: 500}  # RFC 7541, appendix A
Fields = Sequence[tuple[bytes, bytes]]


@dataclass(frozen=True)
class Frame:
    """One frame of the other side."""

    kind: int
    flags: int
    stream: int
    payload: bytes

    @property
    def status(self) -> int:
        """Of a HEADERS frame that opens a response; 0 for trailers."""
        block = self.payload.lstrip(b"\x20")  # a change of the table's size
        first = block[0]
        if first & 0x80:
            return INDEXED_STATUS.get(first & 0x7F, 0)
        literal = first in (0x08, 0x18, 0x48)
        return int(block[2:5]) if literal and block[1] == 3 else 0


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    """Length, type, flags, stream, payload."""
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def encoded(fields: Fields) -> bytes:
    """A header block."""
    return b"".join(b"\0" + _string(name) + _string(value) for name, value in fields)


def _string(content: bytes) -> bytes:
    if len(content) < 127:
        return bytes([len(content)]) + content
    rest, octets = len(content) - 127, [127]
    while rest > 127:
        octets.append(rest % 128 + 128)
        rest //= 128
    return bytes([*octets, rest]) + content


def request_fields(path: bytes = b"/predictions/demo", *more: tuple[bytes, bytes], method: bytes = b"POST") -> Fields:
    """Pseudo-header fields, and others behind them."""
    return [(b":method", method), (b":scheme", b"http"), (b":authority", b"gateway"), (b":path", path), *more]


class Http2:
    """A connection whose preface was sent."""

    def __init__(self, connection: socket.socket) -> None:
        self.socket = connection
        self._file: IO[bytes] = connection.makefile("rb")
        self.next_stream = 1
        self._outcomes: dict[int, int | str] = {}
        self.send(PREFACE + frame(SETTINGS, 0, 0))

    def send(self, content: bytes) -> None:
        self.socket.sendall(content)

    def request(self, fields: Fields, body: bytes = b"") -> int:
        """Send one; its stream."""
        stream, self.next_stream = self.next_stream, self.next_stream + 2
        self.send(frame(HEADERS, END_HEADERS, stream, encoded(fields)) + frame(DATA, END_STREAM, stream, body))
        return stream

    def frames(self) -> Iterator[Frame]:
        """What comes, until the other side closes."""
        while len(head := self._file.read(9)) == 9:
            size = int.from_bytes(head[:3], "big")
            kind, flags, stream = struct.unpack(">BBI", head[3:])
            yield Frame(kind, flags, stream & 0x7FFFFFFF, self._file.read(size))

    def outcome(self, stream: int) -> int | str:
        """A response's status, `reset` if the stream was refused, `closed` if the connection was."""
        while stream not in self._outcomes:
            frame = next(self.frames(), None)
            if frame is None:
                return "closed"
            if frame.kind == HEADERS:
                self._outcomes.setdefault(frame.stream, frame.status)
            elif frame.kind == RST_STREAM:
                self._outcomes.setdefault(frame.stream, "reset")
            elif frame.kind == GOAWAY:
                last = int.from_bytes(frame.payload[:4], "big")
                if last < stream or frame.payload[4:8] != b"\0\0\0\0":
                    return "closed"
        return self._outcomes[stream]

    def close(self) -> None:
        self._file.close()
        self.socket.close()


@contextlib.contextmanager
def http2_connection(port: int, timeout_s: float = 60) -> Iterator[Http2]:
    """Prior knowledge, on a port of loopback; the connection ends with the block."""
    connection = Http2(socket.create_connection(("127.0.0.1", port), timeout=timeout_s))
    try:
        yield connection
    finally:
        connection.close()
