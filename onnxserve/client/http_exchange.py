"""httpx's requests and responses for a client's."""

from __future__ import annotations

import time

import httpx

from .exchange import Incoming, Outgoing
from .settings import CONNECT_S, Settings


def limits(settings: Settings) -> httpx.Limits:
    """Return how many connections a client keeps open: one for each request under way."""
    return httpx.Limits(max_connections=None, max_keepalive_connections=max(settings.concurrency, 8))


def timeout(outgoing: Outgoing) -> httpx.Timeout:
    """Return the time that a request may take, of which a connection gets the first seconds at most."""
    return httpx.Timeout(outgoing.timeout_s, connect=min(CONNECT_S, outgoing.timeout_s))


def read_incoming(response: httpx.Response, end: float) -> Incoming:
    """Read an answer; httpx.ReadTimeout if it isn't whole at `end` [s of time.monotonic], as httpx limits each read."""
    content = bytearray()
    for chunk in response.iter_bytes():
        content += chunk
        if time.monotonic() > end:
            raise httpx.ReadTimeout("the answer takes too long")
    return Incoming(response.status_code, bytes(content), response.headers)


def incoming(response: httpx.Response) -> Incoming:
    """Return an answer that was read."""
    return Incoming(response.status_code, response.content, response.headers)


def no_answer(error: Exception) -> Incoming:
    """Return the answer that never came, and why."""
    return Incoming(0, (str(error) or type(error).__name__).encode())
