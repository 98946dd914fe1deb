"""One server under load: whether its answers are right, its speed and its cost."""

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
TURNS = 3  # answers for each client, at least, unless that takes
MOST_S = 20
DRAIN_S = 60
AGREEMENT = 0.95  # of labels with the archive's; eager torch is the original of an int8 graph


class Measured(msgspec.Struct, frozen=True):
    """One run: right answers per second, latency of all answers in ms, what was no answer, CPU, megabytes."""

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
    """One start: seconds until the first answer, and the share of labels that are the archive's."""

    model: str
    server: str
    ready_s: float
    agreement: float


@dataclass(frozen=True)
class Live:
    """A warm server: where to post which bodies, the labels that they must give, answers per second at 64 clients."""

    server: Server
    running: Running
    url: str
    body: bytes
    path: Path
    labels: list[str]
    start: Started
    pace: float

    def load(self, clients: int, seconds: int) -> Run:
        """Closed-loop load."""
        return drive(self.url, self.path, self.server.pattern, clients, seconds, self.running.headers)


@contextmanager
def started(server: Server, bench: Bench, warm_s: int) -> Iterator[Live]:
    """Start, wait for an answer, compare all labels, warm up; RuntimeError says why there is no result."""
    [port] = free_ports(1)
    begun = time.monotonic()
    running = server.start(bench, port)
    try:
        sent, url = server.bodies(bench), f"http://127.0.0.1:{port}{server.path}"
        wait_ready(running, url, sent[0])
        ready_s = time.monotonic() - begun
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
    """The label of each row, asked one at a time."""
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
    """One run of a server that is paused before and after; wrong answers make it no result."""
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
    """Seconds of a run: a slow server gets enough of them to answer every client some times."""
    return min(MOST_S, max(seconds, math.ceil(TURNS * clients / max(pace, 1))))


def drain(live: Live) -> None:
    """Wait for what the load before left in queues: a request at their end is answered."""
    deadline = time.monotonic() + DRAIN_S
    while time.monotonic() < deadline and live.running.alive():
        if post(live.running, live.url, live.body, DRAIN_S) == 200:
            return
        time.sleep(0.2)
    raise RuntimeError(f"no answer after a load, {live.running.failure()}")


def check_labels(counts: Mapping[str, int], labels: Sequence[str], slack: int) -> None:
    """Under load every label must come as often as its rows were sent; RuntimeError otherwise.

    Rows go out in turn, so the counts are known but for `slack` requests at the ends and those that failed.
    """
    rounds, rest = divmod(sum(counts.values()), len(labels))
    whole, part = Counter(labels), Counter(labels[:rest])
    for label in {*whole, *counts}:
        expected = rounds * whole[label] + part[label]
        if abs(counts.get(label, 0) - expected) > slack + 2 * PUBLISHED:
            raise RuntimeError(f"label {label!r} came {counts.get(label, 0)} times, expected {expected}")
