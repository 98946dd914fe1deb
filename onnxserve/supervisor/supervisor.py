"""The supervisor of one state folder: runs several services side by side and stops them in order."""

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
    """A stop signal came while the supervisor waited for a service."""


class Supervisor:
    """The only supervisor of a run folder.

    On entry it kills stale processes of an earlier run; on exit it stops the services, the youngest first.
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
        if stale := end_stale_processes(self._run):
            detail = f"processes {', '.join(map(str, stale))} of an earlier run"
            self._events.record("supervisor", "ended", detail)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._stack:
            for watchdog in reversed(self.watchdogs):
                watchdog.stop()

    def begin(self, service: Service, backoff: Backoff | None = None) -> Watchdog:
        """Start a service under a watchdog; return at once."""
        watchdog = Watchdog(service, self._events, backoff)
        self.watchdogs.append(watchdog)
        return watchdog

    def wait(self, watchdog: Watchdog, timeout_s: float) -> None:
        """Wait until a service is ready for the first time.

        Raises the error of a failed start, ServerError after the deadline, or Stopped after a signal. A slow start is
        reported every PROGRESS_S seconds.
        """
        begun_s = time.monotonic()
        deadline, reported_s = begun_s + timeout_s, begun_s
        while not watchdog.up():
            if self._signals.wait(POLL_S):
                raise Stopped
            if time.monotonic() > reported_s + PROGRESS_S:
                reported_s = time.monotonic()
                self._events.record(watchdog.service.name, "starting", f"for {reported_s - begun_s:.0f} s")
            if time.monotonic() > deadline:
                raise ServerError(f"{watchdog.service.name} isn't ready after {timeout_s:g} s")

    def run(self, tick: Callable[[], None] = lambda: None) -> None:
        """Call `tick` each second until a signal comes; an exception is recorded, and the calls go on."""
        failure = ""
        while not self._signals.wait(TICK_S):
            before, failure = failure, _failure(tick)
            if failure and failure != before:  # a repeated failure is recorded once
                self._events.record("supervisor", "failed", failure)
            if os.getpid() == 1:
                reap_orphans()


def _failure(tick: Callable[[], None]) -> str:
    """Run a tick; return its exception as text, empty if it raised none."""
    try:
        tick()
    except Exception as error:  # noqa: BLE001 - the services go on
        return f"{type(error).__name__}: {error}"
    return ""
