"""Open-loop HTTP load: requests leave at Poisson times, whether or not earlier ones have been answered.

A latency counts from the moment at which its request should have left, so that a server that
stalls can't hide it (coordinated omission; G. Tene, "How NOT to Measure Latency", 2013).
"""

from __future__ import annotations

import contextlib
import random
import selectors
import time
from collections import deque
from collections.abc import Sequence

from onnxserve.client import Address, Connection

from .point import Sample

MAX_CONNECTIONS = 256
GRACE_S = 2.0  # for answers still to come at the end


class Load:
    """One run against a server of this machine."""

    def __init__(self, address: Address, requests: Sequence[bytes], seed: int = 0) -> None:
        self._address = address
        self._requests = requests
        self._random = random.Random(seed)  # noqa: S311 - arrival times, not secrets
        self._selector = selectors.DefaultSelector()
        self._idle: list[Connection] = []
        self._busy = 0
        self._waiting: deque[float] = deque()
        self._latencies: list[float] = []
        self._failed = 0
        self._sent = 0

    def run(self, rate: float, seconds: float) -> Sample:
        """Offer `rate` requests per second for `seconds`."""
        try:
            return self._run(rate, seconds)
        finally:
            for key in list(self._selector.get_map().values()):
                key.data.socket.close()
            self._selector.close()

    def _run(self, rate: float, seconds: float) -> Sample:
        start = time.perf_counter()
        end, due, offered = start + seconds, start + self._random.expovariate(rate), 0
        while (now := time.perf_counter()) < end + GRACE_S:
            while due <= now and due < end:
                self._waiting.append(due)
                offered += 1
                due += self._random.expovariate(rate)
            self._send()
            if due >= end and not self._busy and not self._waiting:
                break
            self._receive(max(0.0, min(due, end + GRACE_S) - time.perf_counter()) if due < end else 0.05)
        lost = self._busy + len(self._waiting)
        return self._sample(offered / seconds, len(self._latencies) / seconds, lost, offered)

    def _send(self) -> None:
        while self._waiting and (self._idle or self._busy < MAX_CONNECTIONS):
            due = self._waiting.popleft()
            try:
                connection = self._idle.pop() if self._idle else self._connect()
                connection.send(self._requests[self._sent % len(self._requests)], due)
            except OSError:
                self._failed += 1
                continue
            self._sent += 1
            self._busy += 1

    def _connect(self) -> Connection:
        connection = Connection(self._address)
        self._selector.register(connection.socket, selectors.EVENT_READ, connection)
        return connection

    def _receive(self, timeout: float) -> None:
        for key, _ in self._selector.select(timeout):
            connection: Connection = key.data
            try:
                status = connection.receive()
            except OSError:
                status = 0
                with contextlib.suppress(KeyError):
                    self._selector.unregister(connection.socket)
                connection.socket.close()
            if status is None:
                continue
            self._busy -= 1
            if status == 200:
                self._latencies.append(time.perf_counter() - connection.due)
            else:
                self._failed += 1
            if status:
                self._idle.append(connection)

    def _sample(self, offered: float, answered: float, lost: int, sent: int) -> Sample:
        ordered = sorted(self._latencies) or [float("inf")]
        p50, p99 = (ordered[min(len(ordered) - 1, int(len(ordered) * share))] * 1000 for share in (0.5, 0.99))
        return Sample(offered, answered, p50, p99, self._failed + lost, sent)
