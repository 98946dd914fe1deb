"""`python -m benchmarks.split [--models segment]`: where a request's CPU time goes, and what a worker's batch takes."""

from __future__ import annotations

import argparse
import logging
import tempfile
from pathlib import Path

import psutil

from onnxserve.archive import unpack
from onnxserve.tune.times import measure_times

from .measure import started
from .prepare import ROOT, Bench, prepare
from .process import Running
from .rivals import servers

BATCHES = [1, 16, 64]
INTRO = """# Where the time goes

Written by `python -m benchmarks.split`: CPU time of onnxserve per request, by process, under wrk's load on the same two
cores, and the time of a batch in the worker (`handle`, from bytes to bytes, one thread).
"""

WHY = """
## What the missed targets would need

- `segment`, 64 clients: 40 times (a) would be some 49,000 requests a second, 41 µs of both cores a request. The
  frontend, wrk and the system alone take more than that above, whatever a worker does. It needs a cheaper frontend,
  which TorchServe 0.12 doesn't let us replace; the worker's part is a quarter. Six times the best rival falls short
  for the same reason.
- `sentiment`: its answers move with the batch, so rows run alone and a request is a batch: the frontend's
  hand-over, which 64 `segment` requests share, is paid for each. Variants whose answers don't move are slower
  still. The rest is Java that goes on compiling itself at 400 requests a second, after the warm-up.
- `digits`: nine tenths of the CPU time are the worker's. Raw onnxruntime has two processes that never wait for a
  request; what is missing to it is idle time between a batch and the next, and batches that aren't full.
- One client: the way is client, frontend, worker and back, four wake-ups of sleeping threads; a server in one
  process has two. For `segment` that is as fast as the fastest rival.
"""


def cpu(running: Running) -> dict[str, float]:
    """CPU seconds so far of frontend (Java) and workers, without their supervisor."""
    seconds = {"frontend": 0.0, "workers": 0.0}
    for process in running.tree()[1:]:
        try:
            times, kind = process.cpu_times(), "frontend" if "java" in process.name() else "workers"
        except psutil.Error:
            continue
        seconds[kind] += times.user + times.system
    return seconds


def shares(bench: Bench, concurrency: int, seconds: int, warm_s: int) -> str:
    """One row of the table: microseconds a request."""
    direct = next(server for server in servers(bench.model) if server.name == "direct")
    with started(direct, bench, warm_s) as live:
        before, idle = cpu(live.running), psutil.cpu_times()
        run = live.load(concurrency, seconds)
        after, later = cpu(live.running), psutil.cpu_times()
    each = {kind: 1e6 * (after[kind] - before[kind]) / run.requests for kind in after}
    idle_us = 1e6 * (later.idle - idle.idle) / run.requests
    all_us = 1e6 * run.seconds * (psutil.cpu_count() or 1) / run.requests
    rest = all_us - sum(each.values()) - idle_us
    cells = [each["frontend"], each["workers"], max(0.0, rest), idle_us]
    return f"| {bench.model} | {concurrency} | {run.rate:,.0f} | " + " | ".join(f"{cell:,.0f}" for cell in cells) + " |"


def batch_rows(bench: Bench) -> list[str]:
    """Time of batches in the worker."""
    with tempfile.TemporaryDirectory() as scratch:
        unpack(bench.archive, Path(scratch))
        times = measure_times(Path(scratch), [1], BATCHES)
    return [
        f"| {bench.model} | {one.batch} | {one.length} | {one.ms:.2f} | {one.ms / one.batch:.3f} |" for one in times
    ]


def main() -> None:
    """Measure and write the page."""
    logging.getLogger("httpx").setLevel(logging.WARNING)
    parser = argparse.ArgumentParser(prog="python -m benchmarks.split", description="Where the time goes.")
    parser.add_argument("--models", default="segment,sentiment,digits")
    parser.add_argument("--seconds", type=int, default=5)
    parser.add_argument("--warm", type=int, default=15)
    parser.add_argument("--page", type=Path, default=ROOT / "docs" / "91-where-time-goes.md")
    given = parser.parse_args()
    benches = [prepare(model) for model in given.models.split(",")]
    lines = [INTRO, "| model | clients | requests/s | frontend µs | workers µs | wrk and system µs | idle µs |"]
    lines.append("|---|--:|--:|--:|--:|--:|--:|")
    lines += [shares(bench, count, given.seconds, given.warm) for bench in benches for count in (1, 64)]
    lines += ["", "| model | batch | bytes a body | ms a batch | ms a row |", "|---|--:|--:|--:|--:|"]
    lines += [row for bench in benches for row in batch_rows(bench)]
    given.page.write_text("\n".join(lines) + "\n" + WHY, encoding="utf-8")
    print(given.page)


if __name__ == "__main__":
    main()
