"""`python -m benchmarks.watching`: measure what histograms, drift and the prediction log cost, in alternating runs."""

from __future__ import annotations

import importlib
import json
import logging
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any
from unittest.mock import patch

from onnxserve.archive import package, unpack
from onnxserve.gateway.gateway import ACCESS_LOG
from onnxserve.gateway.role_store import RUN
from onnxserve.monitoring import workers_page
from onnxserve.monitoring.access_log import AccessLog
from onnxserve.monitoring.counters import Counters
from onnxserve.tuning.tuner import cpu_name

from . import ROOT
from .arguments import add_models, make_parser
from .measure import started
from .prepare import BENCH, Bench, prepare
from .rivals import servers

CLIENTS, ROUNDS, SECONDS, WARM_S = 64, 40, 8, 15
HANDLES = {"segment": 200, "sentiment": 8}  # batches per round
METRICS, PREDICTIONS = "ONNXSERVE_METRICS", "ONNXSERVE_PREDICTIONS"
INTRO = """# What monitoring costs

Written by `python -m benchmarks.watching` on {cpu}, {cores} cores. One handler answers the same batch {rounds} times
with monitoring and {rounds} times without, in turn. The tables give the median time without monitoring, and the median
of the added time. The last column gives the added time as a share of the machine's CPU time while a server has 64
clients: the added time of a batch times the server's batches per second.

At the gateway, counting adds one log line per request, which `onnxserve serve` reads once a second. Its figure is the
median of {rounds} counts of the lines that a run with 64 clients wrote.
"""


def handled(model: str, archive: Path, size: int, folder: Path) -> tuple[float, float]:
    """Return the microseconds per batch of `size` requests without and with monitoring, in this process."""
    unpack(archive, folder)
    sys.path.insert(0, str(folder))
    handler, context = importlib.import_module(f"{package(folder)}.offline").loaded(folder, 1)
    lines = (folder / "proof.jsonl").read_bytes().splitlines()[:size]
    requests = [{"body": json.dumps({"instances": [json.loads(line)["input"]]}).encode()} for line in lines]
    head = {"Content-Type": "application/json", "x-onnxserve-start": str(time.time()), "x-request-id": "0" * 36}
    context.headers = [head] * size
    recorder, without, having = handler.recorder, list[float](), list[float]()
    for round_ in range(ROUNDS + 1):
        for setting, times in ((None, without), (recorder, having)):
            handler.recorder = setting
            start = time.perf_counter()
            for _ in range(HANDLES[model]):
                handler.handle(requests, context)
            if round_:
                times.append(1e6 * (time.perf_counter() - start) / HANDLES[model])
    base = statistics.median(without)
    return base, base + statistics.median(b - a for a, b in zip(without, having, strict=True))


def alone(model: str, archive: Path, size: int, *, logged: bool) -> tuple[float, float]:
    """Measure the same in a new process, which reads the monitoring settings from its environment."""
    with tempfile.TemporaryDirectory() as folder:
        variables = {METRICS: folder}
        if logged:
            variables[PREDICTIONS] = json.dumps({"folder": f"{folder}/predictions", "percent": 1.0})
        words = [sys.executable, "-m", "benchmarks.watching", "--handle", model, str(archive), str(size)]
        completed = subprocess.run(
            words, cwd=ROOT, env={**os.environ, **variables}, capture_output=True, check=True, text=True
        )
        base, having = json.loads(completed.stdout.splitlines()[-1])
        return base, having


def batches_a_second(bench: Bench, folder: Path) -> tuple[float, float]:
    """Return (requests/s, batches/s) of a monitored server without a gateway, with all clients."""
    direct = next(server for server in servers(bench.model) if server.name == "direct")
    with patch.dict(os.environ, {METRICS: str(folder)}), started(direct, bench, WARM_S) as live:
        before, start = batches(folder), time.perf_counter()
        run = live.load(CLIENTS, SECONDS)
        return run.rate, (batches(folder) - before) / (time.perf_counter() - start)


def batches(counted: Path) -> float:
    """Return the number of batches so far."""
    lines = workers_page(counted).decode().splitlines()
    return sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith("onnxserve_batch_rows_count{"))


def section(bench: Bench, cores: int) -> list[str]:
    """Build a model's table."""
    with tempfile.TemporaryDirectory() as folder:
        rate, batch_rate = batches_a_second(bench, Path(folder))
    size = max(1, round(rate / batch_rate))
    lines = [f"## {bench.model}: {rate:,.0f} requests/s in {batch_rate:,.0f} batches/s", ""]
    lines += [
        "| monitoring | requests per batch | handler µs | added µs | share of CPU time |",
        "|---|--:|--:|--:|--:|",
    ]
    for name, logged in (("histograms and drift", False), ("and 1 % of the predictions", True)):
        for count in sorted({1, size}):
            base, having = alone(bench.model, bench.archive, count, logged=logged)
            share = f"{batch_rate * (having - base) / 1e6 / cores:.2%}" if count == size else "-"
            lines.append(f"| {name} | {count} | {base:,.0f} | {having - base:,.1f} | {share} |")
    return [*lines, ""]


def log_section(bench: Bench, cores: int) -> list[str]:
    """Measure the cost of counting the gateway's requests."""
    default = next(server for server in servers(bench.model) if server.name == "default")
    with started(default, bench, WARM_S) as live:
        rate = live.load(CLIENTS, SECONDS).rate
        lines = (BENCH / "run" / default.name / "state" / RUN / ACCESS_LOG).read_bytes()
    each = counting_us(lines)
    return [
        f"## The gateway's log, {bench.model}: {rate:,.0f} requests/s",
        "",
        "| | µs per request | share of CPU time |",
        "|---|--:|--:|",
        f"| counters and latency histogram | {each:.2f} | {rate * each / 1e6 / cores:.2%} |",
        "",
    ]


def counting_us(lines: bytes) -> float:
    """Return the microseconds of CPU time for reading and counting one line of an access log."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / ACCESS_LOG
        path.touch()
        log, counters, times = AccessLog(path), Counters(), list[float]()
        for _ in range(ROUNDS):
            with path.open("ab") as stream:
                stream.write(lines)
            start = time.thread_time()
            for entries in log.read():
                counters.add(entries)
            times.append(time.thread_time() - start)
        return 1e6 * statistics.median(times) / lines.count(b"\n")


def main() -> None:
    """Measure and write the page."""
    logging.getLogger("httpx").setLevel(logging.WARNING)
    purpose = "Measure what histograms, drift, the prediction log and the gateway's counters cost."
    parser = make_parser("watching", purpose, "watching.md")
    add_models(parser, ["segment", "sentiment"])
    one_batch = "measure batches of SIZE requests in this process and print JSON; internal"
    parser.add_argument("--handle", nargs=3, metavar=("MODEL", "ARCHIVE", "SIZE"), help=one_batch)
    options: Any = parser.parse_args()
    if options.handle:
        model, archive, size = options.handle
        with tempfile.TemporaryDirectory() as folder:
            print(json.dumps(handled(model, Path(archive), int(size), Path(folder))))
        return
    cores = len(os.sched_getaffinity(0))
    lines = [INTRO.format(cpu=cpu_name(), cores=cores, rounds=ROUNDS)]
    for model in options.models:
        lines += section(prepare(model), cores)
    lines += log_section(prepare(options.models[0]), cores)
    options.page.write_text("\n".join(lines), encoding="utf-8")
    print(options.page)


if __name__ == "__main__":
    main()
