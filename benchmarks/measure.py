"""Measure one server under load: correctness of its labels, speed and cost."""

from __future__ import annotations

import math
import re
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import msgspec

from onnxserve.torchserve import free_ports

from .prepare import BENCH, Bench
from .process import Running, post, wait_ready
from .rivals import Server
from .wrk import PUBLISHED, Run, drive

CONCURRENCIES = (1, 16, 64, 256)
WARM = 64
TURNS = 3  # minimum number of answers per client, unless they take longer than MOST_S
MOST_S = 20
DRAIN_S = 60
AGREEMENT = 0.95  # minimum share of the archive's labels; the eager torch model may differ from an int8 graph


class Measured(msgspec.Struct, frozen=True):
    """A run: correct answers per second, latency of all answers in ms, refusals by kind, CPU seconds, memory in MB."""

    model: str
    server: str
    clients: int
    round: int
    rate: float
    p50_ms: float
    p99_ms: float
    requests: int = 0
    refused: dict[str, int] = {}
    cpu_s_per_1000: float = 0.0
    memory_mb: dict[str, float] = {}  # by program


class Started(msgspec.Struct, frozen=True):
    """A server start: seconds until the first answer, and the share of labels equal to the archive's."""

    model: str
    server: str
    ready_s: float
    agreement: float


@dataclass(frozen=True)
class Live:
    """A warm server: its URL, request bodies and expected labels, and its answers per second with 64 clients."""

    server: Server
    running: Running
    url: str
    body: bytes
    path: Path
    labels: list[str]
    start: Started
    pace: float

    def load(self, clients: int, seconds: int) -> Run:
        """Apply closed-loop load."""
        return drive(self.url, self.path, self.server.pattern, clients, seconds, self.running.headers)


@contextmanager
def started(server: Server, bench: Bench, warm_s: int) -> Iterator[Live]:
    """Start a server, compare all its labels and warm it up; raise RuntimeError if it can't be measured."""
    [port] = free_ports(1)
    launched_at = time.monotonic()
    running = server.start(bench, port)
    try:
        sent, url = server.bodies(bench), f"http://127.0.0.1:{port}{server.path}"
        wait_ready(running, url, sent[0])
        ready_s = time.monotonic() - launched_at
        path = BENCH / "run" / f"{server.name}.jsonl"
        path.write_bytes(b"\n".join(sent))
        labels = answered(server, running, url, sent)
        agreement = sum(a == b for a, b in zip(labels, bench.labels, strict=True)) / len(labels)
        if agreement < AGREEMENT:
            raise RuntimeError(f"answers agree with the archive's on {agreement:.0%} of rows only")
        warm = drive(url, path, server.pattern, WARM, warm_s, running.headers)
        start = Started(bench.model, server.name, ready_s, agreement)
        yield Live(server, running, url, sent[0], path, labels, start, warm.answered / warm.seconds)
    finally:
        running.stop()


def answered(server: Server, running: Running, url: str, sent: list[bytes]) -> list[str]:
    """Send the rows one at a time and return their labels."""
    pattern = re.compile(server.pattern.replace("%s", r"\s").replace("%[", r"\["))
    labels = []
    headers = {"Content-Type": "application/json", **running.headers}
    with httpx.Client(timeout=60, trust_env=False, headers=headers) as client:
        for body in sent:
            response = client.post(url, content=body)
            match = pattern.search(response.text)
            if match is None:
                raise RuntimeError(f"{response.status_code} without a label: {response.text[:200]}")
            labels.append(match.group(1))
    return labels


def measure(live: Live, clients: int, seconds: int, round_: int) -> Measured:
    """Resume the server, measure one run and pause it; raise RuntimeError if its labels are wrong."""
    live.running.resume()
    try:
        drain(live)
        before = live.running.cpu_seconds()
        run = live.load(clients, seconds)
        cpu = live.running.cpu_seconds() - before
        check_labels(run.labels, live.labels, 2 * clients + run.failed)
        return Measured(
            live.start.model,
            live.server.name,
            clients,
            round_,
            run.answered / run.seconds,
            run.p50_ms,
            run.p99_ms,
            run.requests,
            dict(run.refused),
            1000 * cpu / max(1, run.answered),
            live.running.memory_mb(),
        )
    finally:
        live.running.pause()


def length(seconds: int, pace: float, clients: int) -> int:
    """Return the seconds of a run; a slow server gets enough time to answer every client several times."""
    return min(MOST_S, max(seconds, math.ceil(TURNS * clients / max(pace, 1))))


def drain(live: Live) -> None:
    """Wait until the queues of the previous load are empty: a new request is answered with 200."""
    deadline = time.monotonic() + DRAIN_S
    while time.monotonic() < deadline and live.running.alive():
        if post(live.running, live.url, live.body, DRAIN_S) == 200:
            return
        time.sleep(0.2)
    raise RuntimeError(f"no answer after a load, {live.running.failure()}")


def check_labels(counts: Mapping[str, int], labels: Sequence[str], slack: int) -> None:
    """Raise RuntimeError unless each label came back as often as its rows were sent.

    Rows are sent in a fixed order, so the expected counts are known, up to `slack` requests that failed or were in
    flight at the start and end.
    """
    rounds, rest = divmod(sum(counts.values()), len(labels))
    whole, part = Counter(labels), Counter(labels[:rest])
    for label in {*whole, *counts}:
        expected = rounds * whole[label] + part[label]
        if abs(counts.get(label, 0) - expected) > slack + 2 * PUBLISHED:
            raise RuntimeError(f"label {label!r} came {counts.get(label, 0)} times, expected {expected}")
