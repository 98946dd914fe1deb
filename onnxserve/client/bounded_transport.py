"""httpx's requests over connections that end in the time of their request."""

from __future__ import annotations

import ssl

import httpcore
import httpx

from .bounded_streams import BoundedBackend

LIMITS = httpx.Limits(max_connections=100, max_keepalive_connections=20)  # httpx's own


class BoundedTransport(httpx.HTTPTransport):
    """Requests within the times of their extension `timeout`, such as `TimeLeft`; no proxies of the environment."""

    def __init__(
        self, *, verify: ssl.SSLContext | bool = True, limits: httpx.Limits = LIMITS, uds: str | None = None
    ) -> None:
        context = httpx.create_ssl_context(verify=verify, trust_env=False)
        super().__init__(verify=context)
        self._pool = httpcore.ConnectionPool(
            ssl_context=context,
            max_connections=limits.max_connections,
            max_keepalive_connections=limits.max_keepalive_connections,
            keepalive_expiry=limits.keepalive_expiry,
            uds=uds,
            network_backend=BoundedBackend(),
        )
