"""What the frontend sends, parsed in place from one buffer.

Protocol: TorchServe 0.12, `ts/protocol/otf_message_handler.py`. Integers are 32 bits, signed,
big-endian; text and bytes follow their length; lists end with -1.
"""

from __future__ import annotations

import socket
import struct
from dataclasses import dataclass

END = -1
FIELD_LIMIT = 2**30  # bytes; the frontend's own limit on a body is far below
CHUNK = 1 << 18
SHAPES = 8  # clients whose headers are remembered
SHAPE_LIMIT = 4096
END_BYTES = b"\xff\xff\xff\xff"
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


class Shape:
    """What comes between a request's id and the size of its only body; requests of one client share it."""

    __slots__ = ("_headers", "_size", "kind", "name", "packed")

    def __init__(self, packed: bytes, size: int, name: str, kind: str) -> None:
        self.packed = packed  # `size` bytes of headers, then the parameter's name and content type
        self._size = size
        self.name = name
        self.kind = kind
        self._headers: dict[str, str] | None = None

    def headers(self) -> dict[str, str]:
        """The headers as the client spelt them, unpacked once; a repeated name keeps its last value."""
        if self._headers is None:
            found, at = {}, 0
            while at < self._size:
                name, at = _text(self.packed, at)
                found[name], at = _text(self.packed, at)
            self._headers = found
        return self._headers


class Request:
    """One request of message `I`."""

    __slots__ = ("id", "parameters", "shape")

    def __init__(self, id_: str, shape: Shape, parameters: list[tuple[str, str, bytearray]]) -> None:
        self.id = id_
        self.shape = shape
        self.parameters = parameters  # (name, content type, value)

    def headers(self) -> dict[str, str]:
        """The request's headers; not to be changed."""
        return self.shape.headers()


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


def _request(buffer: bytearray, at: int) -> tuple[Request | None, int]:
    """Any request, field by field; None at the end of the batch."""
    start, stop = _span(buffer, at)
    if stop == END:
        return None, start
    id_, begin = _text(buffer, at)
    at = _skip_headers(buffer, begin)
    size, at = at - begin, at + 4
    parameters: list[tuple[str, str, bytearray]] = []
    shape = Shape(bytes(buffer[begin : at - 4]), size, "", "")
    while True:
        start, stop = _span(buffer, at)
        if stop == END:
            return Request(id_, shape, parameters), start
        name, at = _text(buffer, at)
        kind, at = _text(buffer, at)
        if not parameters:
            shape = Shape(bytes(buffer[begin:at]), size, name, kind)
        start, at = _span(buffer, at)
        if at == END:
            raise BadFrame("a parameter without a value")
        parameters.append((name, kind, buffer[start:at]))


def _known_request(buffer: bytearray, at: int, shapes: list[Shape]) -> tuple[Request, int] | None:
    """A request with one body whose headers came before: bytes are compared, not unpacked. None for any other."""
    _, stop = _span(buffer, at)
    for shape in shapes if stop != END else ():
        if buffer.startswith(shape.packed, stop):
            begin, end = _span(buffer, stop + len(shape.packed))
            if end == END or buffer[end : end + 4] != END_BYTES:
                return None
            return Request(_text(buffer, at)[0], shape, [(shape.name, shape.kind, buffer[begin:end])]), end + 4
    return None


class Frames:
    """Reads whole messages from a connected socket."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._buffer = bytearray()
        self._chunk = memoryview(bytearray(CHUNK))
        self._shapes: list[Shape] = []

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
                request, at = _known_request(self._buffer, at, self._shapes) or self._unknown(at)
            except _Short as short:  # goes on after the last whole request
                self._fill(short.needed)
                continue
            if request is None:
                return requests, at
            requests.append(request)

    def _unknown(self, at: int) -> tuple[Request | None, int]:
        request, at = _request(self._buffer, at)
        if request is not None and len(request.parameters) == 1 and len(request.shape.packed) <= SHAPE_LIMIT:
            self._shapes.insert(0, request.shape)
            del self._shapes[SHAPES:]
        return request, at

    def _fill(self, needed: int) -> None:
        while len(self._buffer) < needed:
            count = self._connection.recv_into(self._chunk)
            if not count:
                raise FrontendGone
            self._buffer += self._chunk[:count]
