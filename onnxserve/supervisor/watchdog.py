"""A watchdog starts one service, probes it, replaces it when it died or hangs, and stops it."""

from __future__ import annotations

import threading
import time

from .backoff import Backoff
from .events import Events
from .service import Probe, Running, Service

POLL_S = 0.2


class Watchdog:
    """Watches one service in a thread of its own, so that a slow service delays no other."""

    def __init__(self, service: Service, events: Events, backoff: Backoff | None = None) -> None:
        self.service = service
        self.restarts = 0
        self.running: Running | None = None
        self._events = events
        self._backoff = backoff or Backoff()
        self._up = threading.Event()
        self._stopping = threading.Event()
        self._error: Exception | None = None
        self._begun_s = time.monotonic()
        self._thread = threading.Thread(target=self._run, name=f"watchdog of {service.name}", daemon=True)
        self._thread.start()

    def up(self) -> bool:
        """Return whether the service is started and ready; raises the error of a failed first start."""
        if self._error is not None:
            raise self._error
        return self._up.is_set()

    def stop(self) -> None:
        """Stop the service for good."""
        self._stopping.set()
        if (running := self.running) is not None:
            running.stop()
        self._thread.join()
        if self.running is not None and self.running is not running:
            self.running.stop()  # it was started meanwhile
        self._events.record(self.service.name, "stopped")

    def _run(self) -> None:
        try:
            self._begin()
        except Exception as error:  # noqa: BLE001 - `up` raises it
            self._end_at_once()
            self._error = error
            return
        while not self._stopping.is_set():
            reason = self._watch()
            if reason:
                self._replace(reason)

    def _begin(self) -> None:
        """Start the service and wait until it is ready."""
        self._begun_s = time.monotonic()
        self.running = self.service.start()
        self._events.record(self.service.name, "started", f"process {self.running.process.pid}")
        if self._stopping.is_set():
            return  # `stop` waits for this thread, then stops what was started
        self.service.ready(self.running)
        self._events.record(self.service.name, "ready", f"after {time.monotonic() - self._begun_s:.1f} s")
        self._up.set()

    def _watch(self) -> str:
        """Return the reason why the service must be replaced; empty when it is to be stopped."""
        hung: list[str] = []
        ended = threading.Event()
        probing = [
            threading.Thread(target=self._probe, args=(p, hung, ended), daemon=True) for p in self.service.probes
        ]
        for thread in probing:
            thread.start()
        try:
            while not self._stopping.wait(POLL_S):
                if self.running is None or not self.running.alive():
                    return f"ended ({_exit(self.running)})"
                if hung:
                    return hung[0]
        finally:
            ended.set()
        return ""

    def _probe(self, probe: Probe, hung: list[str], ended: threading.Event) -> None:
        """Repeat one probe until `ended`; add a reason to `hung` when it failed too often in a row."""
        failed = 0
        while not ended.wait(probe.every_s):
            failure = _failure(probe)
            failed = failed + 1 if failure else 0
            if failed >= probe.failures and not ended.is_set():
                hung.append(f"doesn't answer ({probe.name}, {failed} times in a row: {failure})")
                return

    def _replace(self, reason: str) -> None:
        """Kill what is left of the service, then start it until it is ready."""
        self._up.clear()
        while not self._stopping.is_set():
            self._end_at_once()
            delay = self._backoff.delay(time.monotonic() - self._begun_s)
            self._events.record(self.service.name, reason, f"starting again in {delay:g} s")
            if self._stopping.wait(delay):
                return
            self.restarts += 1
            try:
                self._begin()
            except Exception as error:  # noqa: BLE001 - the other services go on
                reason = f"did not start: {error}"
            else:
                return

    def _end_at_once(self) -> None:
        if self.running is not None:
            self.service.clear(self.running)


def _failure(probe: Probe) -> str:
    """Run a probe; return the reason of its failure, empty if it succeeded."""
    try:
        return "no" if probe.call() is False else ""
    except Exception as error:  # noqa: BLE001 - a probe that raises has failed too
        return str(error).splitlines()[0] if str(error) else type(error).__name__


def _exit(running: Running | None) -> str:
    """Describe how a process ended."""
    status = running.process.returncode if running else None
    if status is None:
        return "unknown"
    return f"signal {-status}" if status < 0 else f"exit {status}"
