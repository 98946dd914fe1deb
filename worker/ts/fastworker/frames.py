"""What the frontend sends, parsed in place from one buffer.

Protocol: TorchServe 0.12, `ts/protocol/otf_message_handler.py`. Integers are 32 bits, signed,
big-endian; text and bytes follow their length; lists end with -1.
"""

from __future__ import annotations

import socket
import struct
from dataclasses import dataclass
from typing import Any

END = -1
FIELD_LIMIT = 2**30  # bytes; the frontend's own limit on a body is far below
CHUNK = 1 << 18
KNOWN = 256  # blocks of headers that are remembered, of at most so many bytes
KNOWN_BYTES = 4096
END_BYTES = b"\xff\xff\xff\xff"
NEVER = END_BYTES * 2  # no parameter begins so
_unpack = struct.Struct("!i").unpack_from


class FrontendGone(Exception):
    """The connection ended; there is nobody left to serve."""


class BadFrame(Exception):
    """Bytes that aren't the protocol; the connection can't be trusted any more."""


class _Short(Exception):
    def __init__(self, needed: int) -> None:
        self.needed = needed


@dataclass(frozen=True)
class Load:
    """Message `L`: the model to load, `gpu` None on CPU."""

    name: str
    path: str
    batch_size: int
    handler: str
    gpu: int | None
    envelope: str
    limit_max_image_pixels: bool


class Headers:
    """A block of packed headers; requests whose blocks are the same bytes share one, unpacked at most once."""

    __slots__ = ("_found", "_packed", "kind", "name", "parameter", "properties")

    def __init__(self, packed: bytes) -> None:
        self._packed = packed
        self._found: dict[str, str] | None = None
        # Name and content type of the only parameter that came with it last, packed and unpacked.
        self.parameter = NEVER
        self.name = ""
        self.kind = ""
        self.properties: dict[str, Any] | None = None  # kept by the context

    def unpack(self) -> dict[str, str]:
        """The headers as the client spelt them; a repeated name keeps its last value. Not to be changed."""
        if self._found is None:
            found, at = {}, 0
            while at < len(self._packed):
                name, at = _text(self._packed, at)
                found[name], at = _text(self._packed, at)
            self._found = found
        return self._found


class Request:
    """One request of message `I`; a parameter is (name, content type, value)."""

    __slots__ = ("headers", "id", "parameters")

    def __init__(self, id_: str, headers: Headers, parameters: list[tuple[str, str, bytearray]]) -> None:
        self.id = id_
        self.headers = headers
        self.parameters = parameters


def _span(buffer: bytes | bytearray, at: int) -> tuple[int, int]:
    """Where a length-prefixed field begins and ends; `stop` -1 marks the end of a list."""
    start = at + 4
    if start > len(buffer):
        raise _Short(start)
    size = _unpack(buffer, at)[0]
    if size < 0:
        if size == END:
            return start, END
        raise BadFrame(f"a field of {size} bytes")
    if size > FIELD_LIMIT:
        raise BadFrame(f"a field of {size} bytes, at most {FIELD_LIMIT} are accepted")
    if start + size > len(buffer):
        raise _Short(start + size)
    return start, start + size


def _text(buffer: bytes | bytearray, at: int) -> tuple[str, int]:
    start, stop = _span(buffer, at)
    if stop == END:
        raise BadFrame("a list ended where text was expected")
    try:
        return str(buffer[start:stop], "utf-8"), stop
    except UnicodeDecodeError as error:
        raise BadFrame("text that is not UTF-8") from error


def _integer(buffer: bytearray, at: int) -> tuple[int, int]:
    if at + 4 > len(buffer):
        raise _Short(at + 4)
    return _unpack(buffer, at)[0], at + 4


def _load(buffer: bytearray, at: int) -> tuple[Load, int]:
    name, at = _text(buffer, at)
    path, at = _text(buffer, at)
    batch_size, at = _integer(buffer, at)
    handler, at = _text(buffer, at)
    gpu, at = _integer(buffer, at)
    envelope, at = _text(buffer, at)
    if at >= len(buffer):
        raise _Short(at + 1)
    return Load(name, path, batch_size, handler, gpu if gpu >= 0 else None, envelope, bool(buffer[at])), at + 1


def _skip_headers(buffer: bytearray, at: int) -> int:
    """Where the list of header names and values ends, its end mark not counted."""
    while True:
        _, stop = _span(buffer, at)
        if stop == END:
            return at
        _, at = _span(buffer, stop)
        if at == END:
            raise BadFrame("a header without a value")


def _request(buffer: bytearray, at: int, known: dict[bytes, Headers]) -> tuple[Request | None, int]:
    """Any request, field by field; None at the end of the batch."""
    start, stop = _span(buffer, at)
    if stop == END:
        return None, start
    id_, begin = _text(buffer, at)
    at = _skip_headers(buffer, begin)
    packed, at = bytes(buffer[begin : at + 4]), at + 4
    headers, first = Headers(packed[:-4]), at
    parameters: list[tuple[str, str, bytearray]] = []
    while True:
        start, stop = _span(buffer, at)
        if stop == END:
            break
        name, at = _text(buffer, at)
        kind, at = _text(buffer, at)
        headers.parameter, headers.name, headers.kind = bytes(buffer[first:at]), name, kind
        start, at = _span(buffer, at)
        if at == END:
            raise BadFrame("a parameter without a value")
        parameters.append((name, kind, buffer[start:at]))
    if len(parameters) == 1 and len(packed) <= KNOWN_BYTES:
        if len(known) >= KNOWN:
            known.clear()
        known[packed] = headers
    return Request(id_, headers, parameters), start


def _known_request(buffer: bytearray, at: int, known: dict[bytes, Headers]) -> tuple[Request, int] | None:
    """A request with one body whose headers came before: looked up, not unpacked. None for any other.

    The end mark is no UTF-8, so the first one found ends the block; and a block that was
    unpacked once ends where it ended then, so a hit can't be a mistake.
    """
    start, stop = _span(buffer, at)
    end = buffer.find(END_BYTES, stop, stop + KNOWN_BYTES) + 4 if stop != END else 0
    headers = known.get(bytes(buffer[stop:end]))
    if headers is None or not buffer.startswith(headers.parameter, end):
        return None
    begin, finish = _span(buffer, end + len(headers.parameter))
    if finish == END or not buffer.startswith(END_BYTES, finish):
        return None
    id_ = str(buffer[start:stop], "utf-8", "replace")
    return Request(id_, headers, [(headers.name, headers.kind, buffer[begin:finish])]), finish + 4


class Frames:
    """Reads whole messages from a connected socket."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._buffer = bytearray()
        self._chunk = memoryview(bytearray(CHUNK))
        self._known: dict[bytes, Headers] = {}

    def read(self) -> Load | list[Request]:
        """The next message: a model to load, or a batch. Raises FrontendGone or BadFrame."""
        self._fill(1)
        command = self._buffer[:1]
        message: Load | list[Request]
        if command == b"I":
            message, at = self._batch()
        elif command == b"L":
            message, at = self._loaded()
        else:
            raise BadFrame(f"unknown command {bytes(command)!r}")
        del self._buffer[:at]
        return message

    def _loaded(self) -> tuple[Load, int]:
        while True:
            try:
                return _load(self._buffer, 1)
            except _Short as short:
                self._fill(short.needed)

    def _batch(self) -> tuple[list[Request], int]:
        requests: list[Request] = []
        at = 1
        while True:
            try:
                known = _known_request(self._buffer, at, self._known)
                request, at = known or _request(self._buffer, at, self._known)
            except _Short as short:  # goes on after the last whole request
                self._fill(short.needed)
                continue
            if request is None:
                return requests, at
            requests.append(request)

    def _fill(self, needed: int) -> None:
        while len(self._buffer) < needed:
            count = self._connection.recv_into(self._chunk)
            if not count:
                raise FrontendGone
            self._buffer += self._chunk[:count]
