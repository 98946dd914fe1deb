"""The address of an HTTP API: a URL, or a unix socket of this machine."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    import httpx

UNIX = "unix:"
PROBE_S = 1.0


@dataclass(frozen=True)
class Address:
    """The address of an API. With `path`, requests go through that socket, and `url` only sets the Host header."""

    url: str
    path: Path | None = None

    def __str__(self) -> str:
        """Return the address as TorchServe's configuration has it."""
        return f"{UNIX}{self.path}" if self.path else self.url

    def transport(self, **options: Any) -> httpx.HTTPTransport:
        """Return an httpx transport without the environment's proxies; `options` are those of BoundedTransport."""
        # httpx takes longer than all else that a command imports, and few commands send requests.
        from .bounded_transport import BoundedTransport
        from .socket_transport import SocketTransport

        # Otherwise httpx reads all certificate authorities, which takes tens of milliseconds.
        options.setdefault("verify", self.url.startswith("https:"))
        if self.path is None:
            return BoundedTransport(**options)
        return SocketTransport(self.path, self.connect, **options)

    def client(self, timeout_s: float = 10.0, headers: dict[str, str] | None = None) -> httpx.Client:
        """Return an HTTP client whose paths are relative to this address."""
        import httpx

        return httpx.Client(
            base_url=self.url, transport=self.transport(), timeout=timeout_s, headers=headers, trust_env=False
        )

    def connect(self, timeout_s: float | None = None) -> socket.socket:
        """Return a connected stream socket; OSError if nobody listens."""
        if self.path is None:
            parts = urlsplit(self.url)
            connection = socket.create_connection((parts.hostname or "", parts.port or 80), timeout_s)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return connection
        connection = socket.socket(socket.AF_UNIX)
        try:
            connection.settimeout(timeout_s)
            connection.connect(str(self.path))
        except BaseException:
            connection.close()
            raise
        return connection

    def listening(self) -> bool:
        """Return whether a process accepts connections there."""
        try:
            self.connect(PROBE_S).close()
        except OSError:
            return False
        return True


def loopback(port: int) -> Address:
    """Return the address of a TCP port on loopback."""
    return Address(f"http://127.0.0.1:{port}")


def unix(path: Path) -> Address:
    """Return the address of a unix socket."""
    return Address("http://localhost", path)


def parse_address(text: str) -> Address:
    """Return the address that `http://host:port` or `unix:/path/to.sock` names."""
    is_socket = text.startswith(UNIX)  # its path stays the same when the program changes its folder
    return unix(Path(text.removeprefix(UNIX)).absolute()) if is_socket else Address(text.rstrip("/"))
