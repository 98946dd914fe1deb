"""All servers of a model at once, each paused but in its turn, so that a drift of the machine hits all alike."""

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
    """All runs of one benchmark, why a server has none, versions of rivals, and the machine."""

    machine: dict[str, Any]
    runs: list[Measured] = []
    starts: list[Started] = []
    failures: dict[str, dict[str, str]] = {}  # by model, then server
    versions: dict[str, str] = {}
    others: list[float] = []  # percent of the CPUs that other processes took before a round, all servers paused

    def failed(self, model: str, name: str, error: Exception) -> None:
        """Keep and print why a server has no figures."""
        self.failures.setdefault(model, {})[name] = str(error)
        print(f"{model} {name} failed: {error}", flush=True)

    def look(self) -> None:
        """Note what else the machine does; figures from a busy one are worth little."""
        busy = psutil.cpu_percent(interval=LOOK_S)
        self.others.append(busy)
        if busy > BUSY:
            print(f"other processes take {busy:.0f} % of the CPUs: wait for a quiet machine", flush=True)


def install(chosen: Sequence[Server], results: Results) -> None:
    """Make the rivals' environments before any time counts; a failure shows again when the server is started."""
    for name in sorted({server.environment for server in chosen} - {""}):
        with contextlib.suppress(*FAILURES):
            results.versions[name] = version_of(name)


class Rounds:
    """The servers of one model that are still in, and the time that is left."""

    def __init__(self, bench: Bench, plan: Plan, results: Results) -> None:
        self._bench, self._plan, self._results = bench, plan, results
        self._live: list[Live] = []
        self._deadline = time.monotonic() + plan.budget_s if plan.budget_s else float("inf")

    def start(self, held: contextlib.ExitStack, server: Server) -> None:
        """Start, check and pause a server, which ends with `held`; one that fails is left out."""
        try:
            item = held.enter_context(started(server, self._bench, self._plan.warm_up(compiles=server.compiles)))
        except FAILURES as error:
            self._results.failed(self._bench.model, server.name, error)
            return
        item.running.pause()
        self._live.append(item)
        self._results.starts.append(item.start)
        self._results.failures.get(self._bench.model, {}).pop(server.name, None)  # of a run before
        words = f"ready after {item.start.ready_s:.1f} s, {item.pace:,.0f}/s"
        print(f"{self._bench.model} {server.title}: {words}", flush=True)

    def play(self, limits: Sequence[str], save: Callable[[], None]) -> None:
        """As many rounds as there is time for, at least one."""
        paces = [item.pace for item in self._live] + [float("inf")] * len(limits)
        rounds, seconds = fit(self._plan, self._deadline - time.monotonic(), paces)
        print(f"{self._bench.model}: {rounds} rounds, runs of {seconds} s", flush=True)
        first = max((run.round for run in self._results.runs if run.model == self._bench.model), default=-1) + 1
        longest = 0.0
        for number in range(first, first + rounds):
            begun = time.monotonic()
            if number > first and begun + longest > self._deadline:
                print(f"{self._bench.model}: no time for another round", flush=True)
                return
            self._results.look()
            for clients in self._plan.clients:
                self._all(limits, clients, seconds, number)
            longest = max(longest, time.monotonic() - begun)
            save()

    def _all(self, limits: Sequence[str], clients: int, seconds: int, number: int) -> None:
        """Every limit and server once, in an order of this round's own."""
        for name in limits:
            try:
                self._results.runs.append(limit(name, self._bench, clients, seconds, number))
            except FAILURES as error:
                self._results.failed(self._bench.model, name, error)
        random.Random(f"{number} {clients}").shuffle(self._live)  # noqa: S311 - an order, not a secret
        for item in list(self._live):
            self._turn(item, clients, seconds, number)

    def _turn(self, item: Live, clients: int, seconds: int, number: int) -> None:
        """Measure a server once; one that fails is ended and takes no further part."""
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
