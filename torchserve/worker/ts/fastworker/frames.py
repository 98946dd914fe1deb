"""Messages of the frontend, parsed in place from one buffer."""

from __future__ import annotations

import socket

from .fields import END, END_BYTES, BadFrame, Short, integer, pairs, span, text
from .messages import Load, Request

CHUNK = 1 << 18


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


def _request(buffer: bytearray, at: int) -> tuple[Request | None, int]:
    """One request and where it ends; None at the end of the batch."""
    start, stop = span(buffer, at)
    if stop == END:
        return None, start
    id_, at = text(buffer, at)
    headers, at = _headers(buffer, at)
    parameters: list[tuple[str, str, bytearray]] = []
    while True:
        start, stop = span(buffer, at)
        if stop == END:
            return Request(id_, headers, parameters), start
        name, at = text(buffer, at)
        kind, at = text(buffer, at)
        start, at = span(buffer, at)
        if at == END:
            raise BadFrame("a parameter without a value")
        parameters.append((name, kind, buffer[start:at]))


def _headers(buffer: bytearray, at: int) -> tuple[dict[str, str], int]:
    """Headers by name as the client spelt them, the last value of a repeated one, and where their list ends.

    The end mark is no UTF-8 and no length, so the first one found ends the list. Behind a gateway no two
    requests have the same headers, so remembering them would cost more than this.
    """
    end = buffer.find(END_BYTES, at)
    if end < 0:
        raise Short(len(buffer) + 1)
    return pairs(bytes(buffer[at:end])), end + len(END_BYTES)


class Frames:
    """Reads whole messages from a connected socket."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._buffer = bytearray()
        self._chunk = memoryview(bytearray(CHUNK))

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
                request, at = _request(self._buffer, at)
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
