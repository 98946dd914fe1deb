"""Start all servers of a model and measure them in turn. The others are paused, so machine drift affects all alike."""

from __future__ import annotations

import contextlib
import random
import subprocess
import time
from collections.abc import Callable, Sequence
from typing import Any

import httpx
import msgspec
import psutil

from .limits import limit
from .measure import Live, Measured, Started, length, measure, started
from .plan import Plan, fit
from .prepare import Bench
from .rivals import Server
from .venvs import version_of

FAILURES = (RuntimeError, OSError, subprocess.SubprocessError, httpx.HTTPError)
LOOK_S = 0.5
BUSY = 10.0  # percent of the CPUs


class Results(msgspec.Struct):
    """All runs of a benchmark, reasons for missing figures, versions of rivals, and the machine."""

    machine: dict[str, Any]
    runs: list[Measured] = []
    starts: list[Started] = []
    failures: dict[str, dict[str, str]] = {}  # by model, then server
    versions: dict[str, str] = {}
    others: list[float] = []  # percent of the CPUs that other processes used before a round, with all servers paused

    def failed(self, model: str, name: str, error: Exception) -> None:
        """Record and print why a server has no figures."""
        self.failures.setdefault(model, {})[name] = str(error)
        print(f"{model} {name} failed: {error}", flush=True)

    def look(self) -> None:
        """Record the CPU use of other processes; results from a busy machine are unreliable."""
        busy = psutil.cpu_percent(interval=LOOK_S)
        self.others.append(busy)
        if busy > BUSY:
            print(f"other processes take {busy:.0f} % of the CPUs: wait for a quiet machine", flush=True)


def install(chosen: Sequence[Server], results: Results) -> None:
    """Create the rivals' environments before timing starts; starting the server repeats a failure."""
    for name in sorted({server.environment for server in chosen} - {""}):
        with contextlib.suppress(*FAILURES):
            results.versions[name] = version_of(name)


class Rounds:
    """The servers of a model that take part, and the remaining time."""

    def __init__(self, bench: Bench, plan: Plan, results: Results) -> None:
        self._bench, self._plan, self._results = bench, plan, results
        self._live: list[Live] = []
        self._deadline = time.monotonic() + plan.budget_s if plan.budget_s else float("inf")

    def start(self, cleanup: contextlib.ExitStack, server: Server) -> None:
        """Start, check and pause a server; `held` stops it at the end. A server that fails is left out."""
        try:
            item = cleanup.enter_context(started(server, self._bench, self._plan.warm_up(compiles=server.compiles)))
        except FAILURES as error:
            self._results.failed(self._bench.model, server.name, error)
            return
        item.running.pause()
        self._live.append(item)
        self._results.starts.append(item.start)
        self._results.failures.get(self._bench.model, {}).pop(server.name, None)  # from an earlier run
        words = f"ready after {item.start.ready_s:.1f} s, {item.pace:,.0f}/s"
        print(f"{self._bench.model} {server.title}: {words}", flush=True)

    def play(self, limits: Sequence[str], save: Callable[[], None]) -> None:
        """Run as many rounds as fit into the time, at least one."""
        paces = [item.pace for item in self._live] + [float("inf")] * len(limits)
        rounds, seconds = fit(self._plan, self._deadline - time.monotonic(), paces)
        print(f"{self._bench.model}: {rounds} rounds, runs of {seconds} s", flush=True)
        first = max((run.round for run in self._results.runs if run.model == self._bench.model), default=-1) + 1
        longest = 0.0
        for number in range(first, first + rounds):
            start = time.monotonic()
            if number > first and start + longest > self._deadline:
                print(f"{self._bench.model}: no time for another round", flush=True)
                return
            self._results.look()
            for clients in self._plan.clients:
                self._all(limits, clients, seconds, number)
            longest = max(longest, time.monotonic() - start)
            save()

    def _all(self, limits: Sequence[str], clients: int, seconds: int, number: int) -> None:
        """Measure every limit and server once, in a random order per round."""
        for name in limits:
            try:
                self._results.runs.append(limit(name, self._bench, clients, seconds, number))
            except FAILURES as error:
                self._results.failed(self._bench.model, name, error)
        random.Random(f"{number} {clients}").shuffle(self._live)  # noqa: S311 - an order, not a secret
        for item in list(self._live):
            self._turn(item, clients, seconds, number)

    def _turn(self, item: Live, clients: int, seconds: int, number: int) -> None:
        """Measure a server once; if it fails, stop it and leave it out of later rounds."""
        model, title = self._bench.model, item.server.title
        try:
            run = measure(item, clients, length(seconds, item.pace, clients), number)
        except FAILURES as error:
            self._results.failed(model, item.server.name, error)
            self._live.remove(item)
            item.running.stop()
            return
        self._results.runs.append(run)
        refused = f", refused {run.refused}" if run.refused else ""
        print(f"{model} {clients:>3} {title}: {run.rate:,.0f}/s, p50 {run.p50_ms:.2f} ms{refused}", flush=True)
