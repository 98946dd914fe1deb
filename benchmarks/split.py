"""`python -m benchmarks.split`: measure the CPU time per request by process, and the worker's time per batch."""

from __future__ import annotations

import logging
import tempfile
from pathlib import Path

import psutil

from onnxserve.archive import unpack
from onnxserve.tuning.times import measure_times

from .arguments import add_models, make_parser
from .measure import started
from .prepare import Bench, prepare
from .process import Running
from .rivals import TITLES, servers

BATCHES = [1, 16, 64]
WAYS = ["default", "direct"]
KINDS = ["nginx", "frontend", "workers", "supervisor"]
INTRO = """# Where the time goes

Written by `python -m benchmarks.split`. The first table has the CPU time per request, by process, under wrk's load on
the same two cores, through the gateway (the default path) and without it. The second table has the time of a batch in
the worker: `handle`, from bytes to bytes, on one thread. [The benchmarks](benchmarks.md) show what the gateway costs of
the whole, with keys and with the cache.
"""

WHY = """
## What the missed targets would need

- **`segment` beside mosec, Triton and FastAPI.** The first table adds up what a request takes of the two cores: nginx,
  TorchServe's frontend, the worker and wrk. nginx and the frontend take as much as the worker does. mosec's front end
  is in the same program as its batching, so its requests pass no second server: without nginx we are slower than it
  with 64 clients and faster with 256. nginx's share, two system calls to each side and a line of log, is a quarter of
  the whole, and TorchServe 0.12 doesn't let us replace its HTTP server.
- **One client.** A request passes from the client to nginx, the frontend, its batching thread, the worker and back.
  Each is asleep and must be woken; FastAPI is one process. The table shows that waking as idle time of the cores, and
  more CPU time for a request than with 64 clients. A request goes to the worker that was at work last, whose weights
  are still in the caches ([decision 29](../decisions/0029-last-idle-first.md)).
- **`sentiment` with one client.** Five sixths of a worker's time are onnxruntime's (by `perf`), which are FastAPI's
  too. The rest of the difference is nginx and the frontend, 0.4 ms of CPU time for a lone request in the table.
- **TorchServe out of the box** gains four times with `OMP_WAIT_POLICY=PASSIVE`: torch's threads of both workers wait
  for each other on two cores. Its users don't set that, so the benchmark doesn't either.
- **`digits` beside mosec, LitServe and onnxruntime.** With 8 bits a row takes a third of its former time, so HTTP
  is now a third of the whole, and the gateway a tenth. Twice mosec with the same graph would be 1.7 times what
  onnxruntime does in process.
- **More than one batch under way.** A worker gets its next batch when it has answered the last one. TorchServe's
  `asyncCommunication`, which sends it earlier, loses requests that don't stream, so we don't use it. Two workers on two
  cores overlap instead: with 64 clients the cores idle for an eighth of the time with `segment`, less with the others.

## What costs what in the gateway

nginx parses a request, looks its route up in shared memory, counts it against two limits and passes it on over a unix
socket; the answer comes back the same way and a line goes to the log's buffer. A script joins only
[where it must](../concepts/gateway.md#how-a-request-goes-through): a client with limits of its own, a canary or shadow,
a token, a call over gRPC, a failure; that is some 20 µs. For a model whose batch takes milliseconds none of this can be
seen; for one that takes a tenth of a millisecond it is a part of the whole.
"""


def cpu(running: Running) -> dict[str, float]:
    """Return CPU seconds so far by kind of process; the first process is `onnxserve serve`."""
    seconds = dict.fromkeys(KINDS, 0.0)
    for place, process in enumerate(running.tree()):
        try:
            times, name = process.cpu_times(), process.name()
        except psutil.Error:
            continue
        kind = "nginx" if "nginx" in name else "frontend" if "java" in name else "workers"
        seconds["supervisor" if place == 0 else kind] += times.user + times.system
    return seconds


def shares(bench: Bench, way: str, concurrency: int, seconds: int, warm_s: int) -> str:
    """Format a row of the table, in microseconds per request."""
    subject = next(server for server in servers(bench.model) if server.name == way)
    with started(subject, bench, warm_s) as live:
        before, idle = cpu(live.running), psutil.cpu_times()
        run = live.load(concurrency, seconds)
        after, later = cpu(live.running), psutil.cpu_times()
    each = {kind: 1e6 * (after[kind] - before[kind]) / run.requests for kind in KINDS}
    idle_us = 1e6 * (later.idle - idle.idle) / run.requests
    all_us = 1e6 * run.seconds * (psutil.cpu_count() or 1) / run.requests
    rest = all_us - sum(each.values()) - idle_us
    cells = [*each.values(), max(0.0, rest), idle_us]
    row = [bench.model, TITLES[way].removeprefix("onnxserve: "), str(concurrency), f"{run.rate:,.0f}"]
    return "| " + " | ".join(row + [f"{cell:,.0f}" for cell in cells]) + " |"


def batch_rows(bench: Bench) -> list[str]:
    """Measure batch times of a worker and format their rows."""
    with tempfile.TemporaryDirectory() as scratch:
        unpack(bench.archive, Path(scratch))
        times = measure_times(Path(scratch), [1], BATCHES)
    return [
        f"| {bench.model} | {timing.batch} | {timing.length} | {timing.ms:.2f} | {timing.ms / timing.batch:.3f} |"
        for timing in times
    ]


def main() -> None:
    """Measure and write the page."""
    logging.getLogger("httpx").setLevel(logging.WARNING)
    purpose = "Measure the CPU time per request by process, and the worker's time per batch."
    parser = make_parser("split", purpose, "where-time-goes.md")
    add_models(parser)
    parser.add_argument("--seconds", type=int, default=5, help="length of each measurement (default: %(default)s)")
    parser.add_argument(
        "--warm", type=int, default=15, help="seconds of load before each measurement (default: %(default)s)"
    )
    options = parser.parse_args()
    benches = [prepare(model) for model in options.models]
    heads = " | ".join(f"{kind} µs" for kind in KINDS)
    lines = [INTRO, f"| model | way | clients | requests/s | {heads} | wrk and system µs | idle µs |"]
    lines.append("|---|---|" + "--:|" * (len(KINDS) + 4))
    runs = [(bench, way, count) for bench in benches for way in WAYS for count in (1, 64)]
    lines += [shares(*run, options.seconds, options.warm) for run in runs]
    lines += ["", "| model | batch | bytes a body | ms a batch | ms a row |", "|---|--:|--:|--:|--:|"]
    lines += [row for bench in benches for row in batch_rows(bench)]
    options.page.write_text("\n".join(lines) + "\n" + WHY, encoding="utf-8")
    print(options.page)


if __name__ == "__main__":
    main()
