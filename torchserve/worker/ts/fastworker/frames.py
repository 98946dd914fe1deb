"""Reads the frontend's messages, which are parsed in place in one buffer."""

from __future__ import annotations

import socket
import struct

from .fields import (
    END,
    END_BYTES,
    FIELD_LIMIT,
    BadFrame,
    Incomplete,
    bad_size,
    read_integer,
    read_pairs,
    read_text,
    unpack,
)
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
    """Return one request, None at the end of the batch, and the position after it; raises Incomplete or BadFrame.

    It is one pass with few calls, since it runs for each request.
    """
    try:
        if (size := unpack(buffer, position)[0]) == END:
            return None, position + 4
        if not 0 <= size <= FIELD_LIMIT:
            raise bad_size(size)
        first, start = position + 4, position + 4 + size
        if start > len(buffer):
            raise Incomplete(start)
        id_ = buffer[first:start].decode()
        # The end mark is neither UTF-8 nor a length, so its first occurrence ends the headers. Behind a gateway no two
        # requests have the same headers, so a cache of them would cost more than this.
        if (stop := buffer.find(END_BYTES, start)) < 0:
            raise Incomplete(len(buffer) + 1)
        headers = read_pairs(bytes(buffer[start:stop]))
        parameters, position = _parse_parameters(buffer, stop + 4)
    except struct.error as error:
        raise Incomplete(len(buffer) + 1) from error
    except UnicodeDecodeError as error:
        raise BadFrame("text that is not UTF-8") from error
    return Request(id_, headers, parameters), position


def _parse_parameters(buffer: bytearray, position: int) -> tuple[list[tuple[str, str, bytearray]], int]:
    parameters = []
    while (size := unpack(buffer, position)[0]) != END:
        if not 0 <= size <= FIELD_LIMIT:
            raise bad_size(size)
        name, kind = position + 4, position + 8 + size
        if not 0 <= (size := unpack(buffer, kind - 4)[0]) <= FIELD_LIMIT:
            raise bad_size(size)
        value = kind + 4 + size
        if not 0 <= (size := unpack(buffer, value - 4)[0]) <= FIELD_LIMIT:
            raise bad_size(size)
        if (position := value + size) > len(buffer):
            raise Incomplete(position)
        parameters.append((buffer[name : kind - 4].decode(), buffer[kind : value - 4].decode(), buffer[value:position]))
    return parameters, position + 4


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
