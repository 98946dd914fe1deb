"""httpx's requests and responses for a client's."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping

import httpx

from .exchange import Incoming
from .phase_time import LEAST_S, Seconds
from .settings import CONNECT_S, Settings

PHASES = ("connect", "pool", "read", "write")


def limits(settings: Settings) -> httpx.Limits:
    """Return how many connections a client keeps open: one for each request under way."""
    return httpx.Limits(max_connections=None, max_keepalive_connections=max(settings.concurrency, 8))


class TimeLeft(Mapping[str, float]):
    """The times [s] for the phases of a request: for each what is left when it begins.

    httpx gives every phase its time anew, so fixed times would add up to more than the request may take. A connection
    gets half of what is left, since its TLS may take as long again; and `CONNECT_S` at most, so that another try can
    reach another server. Source: https://www.python-httpx.org/advanced/extensions/#timeout.
    """

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds

    def __getitem__(self, phase: str) -> float:
        if phase not in PHASES:
            raise KeyError(phase)
        left = max(LEAST_S, self._end - time.monotonic())
        return Seconds.from_now(min(CONNECT_S, left / 2) if phase == "connect" else left)

    def __iter__(self) -> Iterator[str]:
        return iter(PHASES)

    def __len__(self) -> int:
        return len(PHASES)

    @property
    def is_over(self) -> bool:
        """Whether nothing is left."""
        return time.monotonic() > self._end


def read_incoming(response: httpx.Response, time_left: TimeLeft) -> Incoming:
    """Read an answer; httpx.ReadTimeout if it isn't whole when no time is left, as httpx limits each read alone."""
    content = bytearray()
    for chunk in response.iter_bytes():
        content += chunk
        if time_left.is_over:
            raise httpx.ReadTimeout("the answer takes too long")
    return Incoming(response.status_code, bytes(content), response.headers)


def incoming(response: httpx.Response) -> Incoming:
    """Return an answer that was read."""
    return Incoming(response.status_code, response.content, response.headers)


def no_answer(error: Exception) -> Incoming:
    """Return the answer that never came, and why."""
    return Incoming(0, (str(error) or type(error).__name__).encode())
