"""httpx's requests through a unix socket."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx

if TYPE_CHECKING:
    from .address import Address

PROBE_S = 1.0


class SocketTransport(httpx.HTTPTransport):
    """Requests through a unix socket; it first tries to connect, since httpcore 1.0 leaks a socket that can't."""

    def __init__(self, address: Address, **options: Any) -> None:
        super().__init__(uds=str(address.path), trust_env=False, **options)
        self._address = address
        self._connected = False

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request; httpx.ConnectError if nobody listens."""
        if not self._connected:
            try:
                self._address.connect(PROBE_S).close()
            except OSError as error:
                raise httpx.ConnectError(error.strerror or str(error), request=request) from error
            self._connected = True
        return super().handle_request(request)
