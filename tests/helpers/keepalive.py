"""Clients that keep their connections, for tests in which a server ends under them."""

from __future__ import annotations

import contextlib
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from tests.helpers.raw import Raw, post_bytes, raw_connection

Outcomes = Counter[str]


@dataclass
class KeepAlive:
    """Ask over kept connections until the server says that it closes one, or refuses another.

    `outcomes` counts `answered`, `said so` (an answer with `Connection: close`), `closed while idle` (before a request
    was sent), `refused` (connections), and what must not be: `lost`, with an error's name, is a request that was sent.
    """

    port: int
    path: str
    bodies: Iterator[bytes]
    pause_s: float = 0.0
    outcomes: Outcomes = field(default_factory=Counter)
    statuses: Counter[int] = field(default_factory=Counter)
    stop: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        """Until connections are refused, or `stop` is set."""
        while not self.stop.is_set():
            try:
                with raw_connection(self.port) as raw:
                    raw.socket.settimeout(60)
                    self._ask(raw)
            except ConnectionRefusedError:
                self.outcomes["refused"] += 1
                return
            except ConnectionResetError:
                self.outcomes["reset before a request"] += 1

    def _ask(self, raw: Raw) -> None:
        while not self.stop.is_set():
            if self._idle_end(raw):
                self.outcomes["closed while idle"] += 1
                return
            try:
                answer = raw.ask(post_bytes(self.path, next(self.bodies), Content_Type="application/json"))
            except OSError as error:
                self.outcomes[f"lost: {type(error).__name__}"] += 1
                return
            if answer is None:
                self.outcomes["lost: closed"] += 1
                return
            self.outcomes["answered"] += 1
            self.statuses[answer.status] += 1
            if answer.headers.get("connection") == "close":
                self.outcomes["said so"] += 1
                return

    def _idle_end(self, raw: Raw) -> bool:
        """Wait for the pause; whether the server closed the connection meanwhile."""
        if not self.pause_s:
            return False
        raw.socket.settimeout(self.pause_s)
        try:
            return raw.socket.recv(1) == b""
        except TimeoutError:
            return False
        except OSError:
            return True
        finally:
            raw.socket.settimeout(60)


@contextlib.contextmanager
def running(clients: list[KeepAlive]) -> Iterator[None]:
    """Let them ask until the block ends."""
    threads = [threading.Thread(target=client.run, daemon=True) for client in clients]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        deadline = time.monotonic() + 60
        for thread in threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        for client in clients:
            client.stop.set()


def total(clients: list[KeepAlive]) -> Outcomes:
    """Of all together."""
    return sum((client.outcomes for client in clients), Counter())
