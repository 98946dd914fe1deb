"""Requests and answers without a network: a call yields what is to be sent, and gets what came back.

One generator serves the client that blocks and the one that doesn't.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Generator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple, TypeVar

T = TypeVar("T")
GRPC = "grpc"  # in place of a method of HTTP
JSON = "application/json"
REQUEST_ID = "x-request-id"


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One request; `method` is HTTP's or `GRPC`, `timeout_s` the seconds that the answer may take."""

    path: str
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)  # a key may be among them
    method: str = "POST"
    timeout_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Incoming:
    """One answer; status 0 means that none came, and `body` says why. Names of headers are in lower case."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Wait:
    """A pause before the next request."""

    seconds: float


class Exchange(NamedTuple):
    """A request as it was sent, and its last answer."""

    outgoing: Outgoing
    incoming: Incoming


Steps = Generator[Outgoing | Wait, Incoming | None, T]


class Deadline:
    """The end of a call, `seconds` from now."""

    def __init__(self, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.seconds = seconds
        self._clock = clock
        self._end = clock() + seconds

    def left(self) -> float:
        """Return the seconds that are left, negative after the end."""
        return self._end - self._clock()


def run(steps: Steps[T], send: Callable[[Outgoing], Incoming], sleep: Callable[[float], None] = time.sleep) -> T:
    """Send a call's requests one after another, and return its result."""
    incoming: Incoming | None = None
    while True:
        try:
            step = steps.send(incoming)
        except StopIteration as stop:
            result: T = stop.value
            return result
        if isinstance(step, Wait):
            sleep(step.seconds)
            incoming = None
        else:
            incoming = send(step)


async def run_async(
    steps: Steps[T], send: Callable[[Outgoing], Awaitable[Incoming]], sleep: Callable[[float], Awaitable[None]]
) -> T:
    """Do what `run` does, without blocking."""
    incoming: Incoming | None = None
    while True:
        try:
            step = steps.send(incoming)
        except StopIteration as stop:
            result: T = stop.value
            return result
        if isinstance(step, Wait):
            await sleep(step.seconds)
            incoming = None
        else:
            incoming = await send(step)
