"""One rival, one model, all concurrencies: speed, cost, and whether the answers are right."""

from __future__ import annotations

import contextlib
import math
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import msgspec

from onnxserve.config import free_ports

from .prepare import BENCH, Bench
from .process import Running, wait_ready
from .rivals import Rival
from .wrk import PUBLISHED, Run, drive

CONCURRENCIES = (1, 16, 64, 256)
WARM = 64
TURNS = 3  # answers for each client, at least, unless that takes
MOST_S = 20
DRAIN_S = 60
AGREEMENT = 0.95  # of labels with the archive's; eager torch is the original of an int8 graph


class Measured(msgspec.Struct, frozen=True):
    """One run of one rival."""

    model: str
    rival: str
    concurrency: int
    rate: float
    p50_ms: float
    p99_ms: float
    failed: int
    cpu_s_per_1000: float
    megabytes: float
    agreement: float


@dataclass(frozen=True)
class Plan:
    """How long."""

    seconds: int = 4
    warm_s: int = 20  # for servers that compile themselves
    settle_s: int = 5  # for the others


@contextmanager
def started(rival: Rival, bench: Bench) -> Iterator[tuple[Running, str, list[bytes]]]:
    """A ready rival, its URL and the bodies for it."""
    [port] = free_ports(1)
    running = rival.start(bench, port)
    try:
        sent = rival.bodies(bench)
        url = f"http://127.0.0.1:{port}{rival.path}"
        wait_ready(running, url, sent[0])
        yield running, url, sent
    finally:
        running.stop()


def measure(rival: Rival, bench: Bench, plan: Plan) -> list[Measured]:
    """Start, warm up, check, load, end."""
    with started(rival, bench) as (running, url, sent):
        path = BENCH / "run" / f"{rival.key}.jsonl"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"\n".join(sent))
        labels = answered(rival, url, sent)
        agreement = sum(a == b for a, b in zip(labels, bench.labels, strict=True)) / len(labels)
        if agreement < AGREEMENT:
            raise RuntimeError(f"answers agree with the archive's on {agreement:.0%} of rows only")
        warm = drive(url, path, rival.pattern, WARM, plan.warm_s if rival.compiles else plan.settle_s)
        pace = (warm.requests - warm.failed) / warm.seconds
        found = []
        for concurrency in CONCURRENCIES:
            drain(url, sent[0])
            seconds = length(plan, pace, concurrency)
            found.append(loaded(rival, bench, running, url, path, labels, concurrency, seconds, agreement))
        return found


def length(plan: Plan, pace: float, concurrency: int) -> int:
    """Seconds of a run: a slow server gets enough of them to answer every client some times."""
    return min(MOST_S, max(plan.seconds, math.ceil(TURNS * concurrency / max(pace, 1))))


def drain(url: str, body: bytes) -> None:
    """Wait for what the load before left in queues: a request at their end is answered."""
    deadline = time.monotonic() + DRAIN_S
    while time.monotonic() < deadline:
        with contextlib.suppress(httpx.HTTPError):
            headers = {"Content-Type": "application/json"}
            if httpx.post(url, content=body, headers=headers, timeout=DRAIN_S, trust_env=False).status_code == 200:
                return
        time.sleep(0.2)
    raise RuntimeError(f"no answer within {DRAIN_S} s after a load")


def loaded(  # noqa: PLR0913 - everything that one run knows
    rival: Rival,
    bench: Bench,
    running: Running,
    url: str,
    path: Path,
    labels: list[str],
    concurrency: int,
    seconds: int,
    agreement: float,
) -> Measured:
    """One run under load; wrong answers make it no result."""
    before = running.cpu_seconds()
    run = drive(url, path, rival.pattern, concurrency, seconds)
    cpu = running.cpu_seconds() - before
    check_labels(run, labels, concurrency)
    done = max(1, run.requests - run.failed)
    return Measured(
        bench.model,
        rival.key,
        concurrency,
        run.rate - run.failed / run.seconds,
        run.p50_ms,
        run.p99_ms,
        run.failed,
        1000 * cpu / done,
        running.megabytes(),
        agreement,
    )


def answered(rival: Rival, url: str, sent: list[bytes]) -> list[str]:
    """The label of each row, asked one at a time."""
    import re

    pattern = re.compile(rival.pattern.replace("%s", r"\s").replace("%[", r"\["))
    found = []
    with httpx.Client(timeout=60, trust_env=False, headers={"Content-Type": "application/json"}) as client:
        for body in sent:
            answer = client.post(url, content=body)
            match = pattern.search(answer.text)
            if match is None:
                raise RuntimeError(f"{answer.status_code} without a label: {answer.text[:200]}")
            found.append(match.group(1))
    return found


def check_labels(run: Run, labels: list[str], concurrency: int) -> None:
    """Under load every label must come as often as its rows were sent; RuntimeError otherwise.

    Rows go out in turn, so the counts are known but for the requests at the two ends.
    """
    total = sum(run.labels.values())
    rounds, rest = divmod(total, len(labels))
    once, part = Counter(labels), Counter(labels[:rest])
    slack = 2 * concurrency + 2 * PUBLISHED + run.failed
    for label in {*once, *run.labels}:
        expected = rounds * once[label] + part[label]
        if abs(run.labels.get(label, 0) - expected) > slack:
            raise RuntimeError(f"label {label!r} came {run.labels.get(label, 0)} times, expected {expected}")
