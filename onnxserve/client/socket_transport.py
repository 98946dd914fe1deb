"""httpx's requests through a unix socket."""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx

from .bounded_transport import BoundedTransport


class SocketTransport(BoundedTransport):
    """Requests through a unix socket; it first tries to connect, since httpcore 1.0 leaks a socket that can't.

    `connect` opens a connection to `path` within a time [s], or raises OSError; `options` are those of
    BoundedTransport.
    """

    def __init__(self, path: Path, connect: Callable[[float | None], socket.socket], **options: Any) -> None:
        super().__init__(uds=str(path), **options)
        self._connect = connect
        self._connected = False

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request; httpx.ConnectError if nobody listens."""
        if not self._connected:
            try:
                self._connect(request.extensions.get("timeout", {}).get("connect")).close()
            except OSError as error:
                raise httpx.ConnectError(error.strerror or str(error), request=request) from error
            self._connected = True
        return super().handle_request(request)
