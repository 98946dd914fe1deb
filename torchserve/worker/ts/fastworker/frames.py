"""Reads the frontend's messages, which are parsed in place in one buffer."""

from __future__ import annotations

import socket

from .fields import END, END_BYTES, BadFrame, Incomplete, locate_field, read_integer, read_pairs, read_text
from .messages import Load, Request

CHUNK = 1 << 18


class FrontendGone(Exception):
    """The frontend closed the connection, so the worker has nothing left to do."""


def _parse_load(buffer: bytearray, position: int) -> tuple[Load, int]:
    name, position = read_text(buffer, position)
    path, position = read_text(buffer, position)
    batch_size, position = read_integer(buffer, position)
    handler, position = read_text(buffer, position)
    gpu, position = read_integer(buffer, position)
    envelope, position = read_text(buffer, position)
    if position >= len(buffer):
        raise Incomplete(position + 1)
    load = Load(name, path, batch_size, handler, gpu if gpu >= 0 else None, envelope, bool(buffer[position]))
    return load, position + 1


def _parse_request(buffer: bytearray, position: int) -> tuple[Request | None, int]:
    """Return one request, None at the end of the batch, and the position after it."""
    start, stop = locate_field(buffer, position)
    if stop == END:
        return None, start
    id_, position = read_text(buffer, position)
    headers, position = _parse_headers(buffer, position)
    parameters: list[tuple[str, str, bytearray]] = []
    while True:
        start, stop = locate_field(buffer, position)
        if stop == END:
            return Request(id_, headers, parameters), start
        name, position = read_text(buffer, position)
        kind, position = read_text(buffer, position)
        start, position = locate_field(buffer, position)
        if position == END:
            raise BadFrame("a parameter without a value")
        parameters.append((name, kind, buffer[start:position]))


def _parse_headers(buffer: bytearray, position: int) -> tuple[dict[str, str], int]:
    """Return headers by name as the client spelt them, with the last value of a repeated one, and the position after.

    The end mark is neither UTF-8 nor a length, so its first occurrence ends the list. Behind a gateway no two requests
    have the same headers, so a cache of them would cost more than this.
    """
    end = buffer.find(END_BYTES, position)
    if end < 0:
        raise Incomplete(len(buffer) + 1)
    return read_pairs(bytes(buffer[position:end])), end + len(END_BYTES)


class Frames:
    """Reads whole messages from a connected socket."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._buffer = bytearray()
        self._chunk = memoryview(bytearray(CHUNK))

    def read(self) -> Load | list[Request]:
        """Return the next message, a model to load or a batch; raises FrontendGone or BadFrame."""
        self._fill(1)
        command = self._buffer[:1]
        message: Load | list[Request]
        if command == b"I":
            message, position = self._read_batch()
        elif command == b"L":
            message, position = self._read_load()
        else:
            raise BadFrame(f"unknown command {bytes(command)!r}")
        del self._buffer[:position]
        return message

    def _read_load(self) -> tuple[Load, int]:
        while True:
            try:
                return _parse_load(self._buffer, 1)
            except Incomplete as incomplete:
                self._fill(incomplete.needed)

    def _read_batch(self) -> tuple[list[Request], int]:
        requests: list[Request] = []
        position = 1
        while True:
            try:
                request, position = _parse_request(self._buffer, position)
            except Incomplete as incomplete:  # the next attempt continues after the last whole request
                self._fill(incomplete.needed)
                continue
            if request is None:
                return requests, position
            requests.append(request)

    def _fill(self, needed: int) -> None:
        while len(self._buffer) < needed:
            count = self._connection.recv_into(self._chunk)
            if not count:
                raise FrontendGone
            self._buffer += self._chunk[:count]
