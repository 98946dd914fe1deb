"""HTTP/1.1 on one keep-alive connection."""

from __future__ import annotations

from .address import Address


def http_post(path: str, body: bytes, content_type: str = "application/json") -> bytes:
    """One request, ready to send."""
    head = [f"POST {path} HTTP/1.1", "Host: 127.0.0.1", f"Content-Type: {content_type}", f"Content-Length: {len(body)}"]
    return "\r\n".join([*head, "", ""]).encode() + body


class Connection:
    """A keep-alive connection with at most one request on its way."""

    def __init__(self, address: Address, timeout_s: float | None = None) -> None:
        self.socket = address.connect(timeout_s)
        self.due = 0.0
        self._got = b""

    def close(self) -> None:
        """Hang up."""
        self.socket.close()

    def send(self, request: bytes, due: float) -> None:
        """Send one request that should have left at `due`."""
        self.due, self._got = due, b""
        self.socket.sendall(request)

    def receive(self) -> int | None:
        """The answer's status when it is whole; ConnectionError when the server hung up."""
        chunk = self.socket.recv(65536)
        if not chunk:
            raise ConnectionResetError
        self._got += chunk
        end = self._got.find(b"\r\n\r\n")
        if end < 0:
            return None
        head = self._got[:end].lower()
        at = head.find(b"content-length:")
        size = int(head[at + 15 :].split(b"\r\n", 1)[0]) if at >= 0 else 0
        return int(head[9:12]) if len(self._got) >= end + 4 + size else None
