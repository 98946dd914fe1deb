"""Several services of one state folder, kept up side by side and ended in order."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

from onnxserve.errors import ServerError
from onnxserve.processes import end_stale_processes, lock_run_folder, make_run_folder, reap_orphans

from .backoff import Backoff
from .events import Events
from .service import Service
from .signals import StopSignals
from .watchdog import Watchdog

TICK_S = 1.0
POLL_S = 0.05
PROGRESS_S = 10.0


class Stopped(Exception):
    """A signal came while something was waited for."""


class Supervisor:
    """The only one of a run folder.

    On entering, whatever lingers of an earlier run is ended; on leaving, services are ended, the youngest first.
    """

    def __init__(self, run: Path, events: Events, signals: StopSignals) -> None:
        self.watchdogs: list[Watchdog] = []
        self._run = run
        self._events = events
        self._signals = signals
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> Self:
        make_run_folder(self._run)
        self._stack.enter_context(lock_run_folder(self._run))
        if lingering := end_stale_processes(self._run):
            detail = f"processes {', '.join(map(str, lingering))} of an earlier run"
            self._events.record("supervisor", "ended", detail)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._stack:
            for watchdog in reversed(self.watchdogs):
                watchdog.stop()

    def begin(self, service: Service, backoff: Backoff | None = None) -> Watchdog:
        """Start a service and keep it up from then on; returns at once."""
        watchdog = Watchdog(service, self._events, backoff)
        self.watchdogs.append(watchdog)
        return watchdog

    def wait(self, watchdog: Watchdog, timeout_s: float) -> None:
        """Wait until a service is ready the first time; its error, ServerError after the deadline, or Stopped.

        A start that takes long says so again and again.
        """
        begun_s = time.monotonic()
        deadline, said_s = begun_s + timeout_s, begun_s
        while not watchdog.up():
            if self._signals.wait(POLL_S):
                raise Stopped
            if time.monotonic() > said_s + PROGRESS_S:
                said_s = time.monotonic()
                self._events.record(watchdog.service.name, "starting", f"for {said_s - begun_s:.0f} s")
            if time.monotonic() > deadline:
                raise ServerError(f"{watchdog.service.name} isn't ready after {timeout_s:g} s")

    def run(self, tick: Callable[[], None] = lambda: None) -> None:
        """Call `tick` each second until a signal comes; what it raises is recorded, and it is called again."""
        failure = ""
        while not self._signals.wait(TICK_S):
            before, failure = failure, _failure(tick)
            if failure and failure != before:  # recorded once, however often it comes again
                self._events.record("supervisor", "failed", failure)
            if os.getpid() == 1:
                reap_orphans()


def _failure(tick: Callable[[], None]) -> str:
    """What a tick raised, in words."""
    try:
        tick()
    except Exception as error:  # noqa: BLE001 - the services go on
        return f"{type(error).__name__}: {error}"
    return ""
