"""HTTP/1.1 as bytes on a socket, for requests that no library would send."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO


@dataclass(frozen=True)
class Answer:
    """One response; header names are lower case, and the values of one name are joined by commas."""

    status: int
    headers: dict[str, str]
    body: bytes


class Raw:
    """One connection."""

    def __init__(self, connection: socket.socket) -> None:
        self.socket = connection
        self._file: IO[bytes] = connection.makefile("rb")

    @classmethod
    def connected(cls, port: int, timeout_s: float, address: str = "127.0.0.1") -> Raw:
        """A connection to a port of loopback from an address of it, by which clients without a key are told apart."""
        source = (address, 0)
        return cls(socket.create_connection(("127.0.0.1", port), timeout=timeout_s, source_address=source))

    def send(self, content: bytes) -> None:
        self.socket.sendall(content)

    def answer(self, *, head: bool = False) -> Answer | None:
        """The next response, to HEAD if `head`; None when the other side closed the connection before one began.

        ValueError for what isn't HTTP/1.1, such as the answer to a request line of HTTP/0.9.
        """
        line = self._file.readline()
        if not line:
            return None
        if not line.startswith(b"HTTP/1.1 "):
            raise ValueError(line)
        headers: dict[str, str] = {}
        while (header := self._file.readline().strip()) != b"":
            name, _, value = header.decode("latin-1").partition(":")
            key = name.lower()
            headers[key] = f"{headers[key]}, {value.strip()}" if key in headers else value.strip()
        return Answer(int(line.split()[1]), headers, b"" if head else self._body(headers))

    def ask(self, content: bytes) -> Answer | None:
        self.send(content)
        return self.answer()

    def close(self) -> None:
        self._file.close()
        self.socket.close()

    def _body(self, headers: dict[str, str]) -> bytes:
        if headers.get("transfer-encoding") != "chunked":
            return self._file.read(int(headers.get("content-length", 0)))
        body = b""
        while size := int(self._file.readline(), 16):
            body += self._file.read(size)
            self._file.readline()
        while self._file.readline().strip():
            pass  # trailers
        return body


@contextlib.contextmanager
def raw_connection(port: int, timeout_s: float = 60) -> Iterator[Raw]:
    """Connect to a port of loopback; the connection ends with the block."""
    raw = Raw.connected(port, timeout_s)
    try:
        yield raw
    finally:
        raw.close()


def post_bytes(path: str = "/predictions/demo", body: bytes = b"[1, 2]", **headers: str) -> bytes:
    """A well-formed request."""
    named = {
        "Host": "gateway",
        "Content-Length": str(len(body)),
        **{k.replace("_", "-"): v for k, v in headers.items()},
    }
    lines = [f"POST {path} HTTP/1.1", *(f"{name}: {value}" for name, value in named.items())]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body
