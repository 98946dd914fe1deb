"""HTTP/1.1 on one keep-alive connection."""

from __future__ import annotations

from .address import Address


def http_post(path: str, body: bytes, content_type: str = "application/json") -> bytes:
    """Return the bytes of one POST request."""
    head = [f"POST {path} HTTP/1.1", "Host: 127.0.0.1", f"Content-Type: {content_type}", f"Content-Length: {len(body)}"]
    return "\r\n".join([*head, "", ""]).encode() + body


class Connection:
    """A keep-alive connection with at most one request under way."""

    def __init__(self, address: Address, timeout_s: float | None = None) -> None:
        self.socket = address.connect(timeout_s)
        self.due = 0.0
        self._received = b""

    def close(self) -> None:
        """Close the connection."""
        self.socket.close()

    def send(self, request: bytes, due: float) -> None:
        """Send one request that should have left at `due`."""
        self.due, self._received = due, b""
        self.socket.sendall(request)

    def receive(self) -> int | None:
        """Read what arrived; return the status once the answer is complete, else None. ConnectionError if hung up."""
        chunk = self.socket.recv(65536)
        if not chunk:
            raise ConnectionResetError
        self._received += chunk
        end = self._received.find(b"\r\n\r\n")
        if end < 0:
            return None
        head = self._received[:end].lower()
        at = head.find(b"content-length:")
        size = int(head[at + 15 :].split(b"\r\n", 1)[0]) if at >= 0 else 0
        return int(head[9:12]) if len(self._received) >= end + 4 + size else None
