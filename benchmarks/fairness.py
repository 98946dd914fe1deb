"""`python -m benchmarks.fairness`: measure a paced client alone, and beside a client that floods the server."""

from __future__ import annotations

import contextlib
import http.client
import logging
import os
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from onnxserve.tuning.tuner import cpu_name

from .arguments import add_models, make_parser
from .measure import Live, started
from .prepare import Bench, prepare
from .rivals import servers

PACED = "127.0.0.2"  # another address makes it another client
RATE = 10  # requests per second
FLOODS = (8, 32, 200)  # connections
GRACE_S = 2  # the flood starts before and ends after the paced client
SAMPLE_MS = 50
SPIN = "while True: pass"
Times = list[float]
INTRO = """# One client beside another

Written by `python -m benchmarks.fairness` on {cpu}, with {cpus} cores for everything. One client sends {rate} requests
a second through the gateway, as `onnxserve serve` starts it, with no limits configured. A second client holds many
connections, and sends on each as soon as it has its answer. The table has the latency in ms of the first client. Each
figure is the median of {rounds} rounds of {seconds} s, in which the situations take turns; the range of the rounds is
in brackets.

The last two situations are controls without other requests: programs that only compute. First there is one per core,
then there are as many as the largest flood kept threads running or ready to run (the median of samples every
{sample_ms} ms). The client then waits for a core, which no queue and no gateway can shorten. What a flood adds beyond
that is ours: TorchServe's queue takes turns between clients, but nginx and TorchServe's Netty read requests and write
answers in the order in which they come, so a request also waits for those of the flood that are ready at that moment.

| model | beside | p50 | p95 | p99 | p99 / alone | flood's requests/s |
|---|---|--:|--:|--:|--:|--:|
"""


def paced(live: Live, seconds: float) -> Times:
    """Return sorted latencies in ms; raise RuntimeError if a response's status isn't 200."""
    address = urlsplit(live.url)
    client = http.client.HTTPConnection(str(address.hostname), address.port, source_address=(PACED, 0), timeout=60)
    times, start = [], time.monotonic()
    with contextlib.closing(client):
        for number in range(int(RATE * seconds)):
            time.sleep(max(0.0, start + number / RATE - time.monotonic()))
            sent = time.perf_counter()
            client.request("POST", address.path, live.body, {"Content-Type": "application/json"})
            response = client.getresponse()
            response.read()
            times.append(1000 * (time.perf_counter() - sent))
            if response.status != 200:
                raise RuntimeError(f"the paced client was answered {response.status}")
    return sorted(times)


@dataclass
class Flood:
    """What a flood did: its responses per second, and samples of the threads that ran or were ready to run."""

    rate: float = 0.0
    runnable: list[int] = field(default_factory=list)

    def run(self, live: Live, connections: int, seconds: int) -> None:
        """Send requests on all connections."""
        self.rate = live.load(connections, seconds).rate

    def sample(self, ended: threading.Event) -> None:
        """Sample until the paced client has ended."""
        while not ended.wait(SAMPLE_MS / 1000):
            self.runnable.append(runnable())


def beside_flood(live: Live, connections: int, seconds: float) -> tuple[Times, Flood]:
    """Return the paced client's latencies beside a flood, and what the flood did."""
    flood, ended = Flood(), threading.Event()
    sender = threading.Thread(target=flood.run, args=(live, connections, int(seconds) + 2 * GRACE_S))
    sampler = threading.Thread(target=flood.sample, args=(ended,))
    sender.start()
    time.sleep(GRACE_S)
    sampler.start()
    times = paced(live, seconds)
    ended.set()
    sampler.join()
    sender.join()
    return times, flood


def runnable() -> int:
    """Return how many threads of the machine run or are ready to run, this one not counted (proc(5), loadavg)."""
    return int(Path("/proc/loadavg").read_text().split()[3].partition("/")[0]) - 1


@contextlib.contextmanager
def busy(count: int) -> Iterator[None]:
    """Run compute-bound processes."""
    programs = [subprocess.Popen([sys.executable, "-c", SPIN]) for _ in range(count)]
    try:
        yield
    finally:
        for program in programs:
            program.kill()
            program.wait()


def quantile(times: Times, share: float) -> float:
    """Return a quantile of sorted values by the nearest-rank method."""
    return times[min(len(times) - 1, int(share * len(times)))]


def measure(bench: Bench, rounds: int, seconds: float, warm_s: int) -> list[str]:
    """Measure a model and return its rows of the table."""
    cores = len(os.sched_getaffinity(0))
    nobody: list[Times] = []
    beside: dict[int, list[Times]] = {connections: [] for connections in FLOODS}
    floods: dict[int, list[Flood]] = {connections: [] for connections in FLOODS}
    busy_cores: list[Times] = []
    as_busy: list[Times] = []
    default = next(server for server in servers(bench.model) if server.name == "default")
    with started(default, bench, warm_s) as live:
        for _ in range(rounds):
            nobody.append(paced(live, seconds))
            for connections in FLOODS:
                times, flood = beside_flood(live, connections, seconds)
                beside[connections].append(times)
                floods[connections].append(flood)
            for runs, programs in ((busy_cores, cores), (as_busy, round(statistics.median(flood.runnable)))):
                with busy(programs):
                    runs.append(paced(live, seconds))
    threads = round(statistics.median(count for flood in floods[FLOODS[-1]] for count in flood.runnable))
    rates = {count: f"{statistics.median(flood.rate for flood in floods[count]):,.0f}" for count in FLOODS}
    return [
        row(bench.model, "nobody", nobody, None, ""),
        *(row(bench.model, f"{count} connections", beside[count], nobody, rates[count]) for count in FLOODS),
        row(bench.model, f"{cores} programs", busy_cores, nobody, ""),
        row(bench.model, f"{threads} programs", as_busy, nobody, ""),
    ]


def row(model: str, way: str, runs: list[Times], alone: list[Times] | None, rate: str) -> str:
    """Format a row: medians over the rounds, and the median ratio of p99 to the same round's p99 without load."""
    cells = [model, way]
    for share in (0.5, 0.95, 0.99):
        values = sorted(quantile(times, share) for times in runs)
        cells.append(f"{statistics.median(values):.1f} ({values[0]:.1f} to {values[-1]:.1f})")
    ratios = [quantile(times, 0.99) / quantile(before, 0.99) for times, before in zip(runs, alone or runs, strict=True)]
    cells += [f"{statistics.median(ratios):.1f}" if alone else "", rate]
    return "| " + " | ".join(cells) + " |"


def main() -> None:
    """Measure and write the page."""
    logging.getLogger("httpx").setLevel(logging.WARNING)
    purpose = "Measure the latency of a paced client: alone, beside a client that floods the server, on a busy machine."
    parser = make_parser("fairness", purpose, "fairness.md")
    add_models(parser)
    parser.add_argument(
        "--rounds", type=int, default=5, help="repeat each measurement so many times (default: %(default)s)"
    )
    parser.add_argument("--seconds", type=float, default=20.0, help="length of each measurement (default: %(default)g)")
    parser.add_argument(
        "--warm", type=int, default=15, help="seconds of load before the measurements (default: %(default)s)"
    )
    options = parser.parse_args()
    about = {"cpu": cpu_name(), "cpus": len(os.sched_getaffinity(0)), "rate": RATE}
    text = INTRO.format(**about, sample_ms=SAMPLE_MS, rounds=options.rounds, seconds=f"{options.seconds:g}")
    for model in options.models:
        lines = measure(prepare(model), options.rounds, options.seconds, options.warm)
        text += "\n".join(lines) + "\n"
    options.page.write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
