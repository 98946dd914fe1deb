"""Clients that retry as sane ones do, and say of each attempt what became of it."""

from __future__ import annotations

import contextlib
import itertools
import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from tests.helpers.raw import Answer, Raw, post_bytes

PATIENCE_S = 120.0
PAUSE_S = 0.1
AGAIN = {429, 503, 504, 507}
numbers = itertools.count()


def fresh_row() -> bytes:
    """A row that nobody has asked before."""
    number = next(numbers)
    return json.dumps([number / 1e6, number % 97 / 97]).encode()


@dataclass
class Retrying:
    """Ask without a pause over a kept connection; what is refused, or lost with its connection, is sent again.

    `attempts` counts `answered`, `degraded: …`, a status with its type, `no connection`, and `reset`: the connection
    ended although a request had been sent. `given_up` are requests that had no answer in the end, and `wrong` what
    should never be.
    """

    port: int
    path: str
    row: Callable[[], bytes] = fresh_row
    attempts: Counter[str] = field(default_factory=Counter)
    given_up: int = 0
    answered: int = 0
    longest_s: float = 0.0
    stop: threading.Event = field(default_factory=threading.Event)
    _raw: Raw | None = None

    def run(self) -> None:
        while not self.stop.is_set():
            began = time.monotonic()
            body = self.row()
            while not self._attempt(body):
                if time.monotonic() - began > PATIENCE_S:
                    self.given_up += 1
                    break
                time.sleep(PAUSE_S)
            self.answered += 1
            self.longest_s = max(self.longest_s, time.monotonic() - began)
        self._hang_up()

    def _attempt(self, body: bytes) -> bool:
        """Whether the request needs no other attempt."""
        try:
            raw = self._raw = self._raw or Raw.connected(self.port, 60)
        except OSError:
            self.attempts["no connection"] += 1
            return False
        try:
            answer = raw.ask(post_bytes(self.path, body, Content_Type="application/json"))
        except OSError:
            answer = None
        if answer is None:
            self.attempts["reset"] += 1
            self._hang_up()
            return False
        if answer.headers.get("connection") == "close":
            self._hang_up()
        outcome = outcome_of(answer)
        self.attempts[outcome] += 1
        return answer.status not in AGAIN

    def _hang_up(self) -> None:
        if self._raw is not None:
            self._raw.close()
            self._raw = None


def outcome_of(answer: Answer) -> str:
    """What an answer was."""
    if answer.status == 200:
        degraded = answer.headers.get("x-onnxserve-degraded")
        return f"degraded: {degraded}" if degraded else "answered"
    try:
        return f"{answer.status} {json.loads(answer.body)['error']['type']}"
    except (ValueError, KeyError, TypeError):
        return f"{answer.status} without a type"


@dataclass
class Clients:
    """Some of them at once."""

    clients: list[Retrying]

    @property
    def attempts(self) -> Counter[str]:
        return sum((client.attempts for client in self.clients), Counter[str]())

    @property
    def answered(self) -> int:
        return sum(client.answered for client in self.clients)

    @property
    def given_up(self) -> int:
        return sum(client.given_up for client in self.clients)

    def wait(self, more: int, seconds: float = PATIENCE_S) -> None:
        """Until so many more requests were answered."""
        target, deadline = self.answered + more, time.monotonic() + seconds
        while self.answered < target:
            assert time.monotonic() < deadline, self.attempts
            time.sleep(0.02)


@contextlib.contextmanager
def asking(port: int, path: str, count: int = 6, row: Callable[[], bytes] = fresh_row) -> Iterator[Clients]:
    """Clients that ask until the block ends; each was answered before it begins."""
    clients = Clients([Retrying(port, path, row) for _ in range(count)])
    threads = [threading.Thread(target=client.run, daemon=True) for client in clients.clients]
    for thread in threads:
        thread.start()
    try:
        clients.wait(20 * count)
        yield clients
        clients.wait(20 * count)
    finally:
        for client in clients.clients:
            client.stop.set()
        for thread in threads:
            thread.join(PATIENCE_S)
