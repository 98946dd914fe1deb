"""Messages of the frontend, parsed in place from one buffer."""

from __future__ import annotations

import socket

from .fields import END, END_BYTES, BadFrame, Short, integer, span, text
from .messages import Headers, Load, Request

CHUNK = 1 << 18
KNOWN = 256  # blocks of headers that are remembered, of at most so many bytes
KNOWN_BYTES = 4096


class FrontendGone(Exception):
    """The connection ended; there is nobody left to serve."""


def _load(buffer: bytearray, at: int) -> tuple[Load, int]:
    name, at = text(buffer, at)
    path, at = text(buffer, at)
    batch_size, at = integer(buffer, at)
    handler, at = text(buffer, at)
    gpu, at = integer(buffer, at)
    envelope, at = text(buffer, at)
    if at >= len(buffer):
        raise Short(at + 1)
    return Load(name, path, batch_size, handler, gpu if gpu >= 0 else None, envelope, bool(buffer[at])), at + 1


def _skip_headers(buffer: bytearray, at: int) -> int:
    """Where the list of header names and values ends, its end mark not counted."""
    while True:
        _, stop = span(buffer, at)
        if stop == END:
            return at
        _, at = span(buffer, stop)
        if at == END:
            raise BadFrame("a header without a value")


def _request(buffer: bytearray, at: int, known: dict[bytes, Headers]) -> tuple[Request | None, int]:
    """Any request, field by field; None at the end of the batch."""
    start, stop = span(buffer, at)
    if stop == END:
        return None, start
    id_, begin = text(buffer, at)
    at = _skip_headers(buffer, begin)
    packed, at = bytes(buffer[begin : at + 4]), at + 4
    headers, first = Headers(packed[:-4]), at
    parameters: list[tuple[str, str, bytearray]] = []
    while True:
        start, stop = span(buffer, at)
        if stop == END:
            break
        name, at = text(buffer, at)
        kind, at = text(buffer, at)
        headers.parameter, headers.name, headers.kind = bytes(buffer[first:at]), name, kind
        start, at = span(buffer, at)
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
    start, stop = span(buffer, at)
    if stop == END:
        return None
    end = buffer.find(END_BYTES, stop, stop + KNOWN_BYTES) + 4
    headers = known.get(bytes(buffer[stop:end]))
    if headers is None or not buffer.startswith(headers.parameter, end):
        return None
    begin, finish = span(buffer, end + len(headers.parameter))
    if finish == END or buffer[finish : finish + 4] != END_BYTES:
        return None
    id_ = buffer[start:stop].decode("utf-8", "replace")
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
            except Short as short:
                self._fill(short.needed)

    def _batch(self) -> tuple[list[Request], int]:
        requests: list[Request] = []
        at = 1
        while True:
            try:
                known = _known_request(self._buffer, at, self._known)
                request, at = known or _request(self._buffer, at, self._known)
            except Short as short:  # goes on after the last whole request
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
