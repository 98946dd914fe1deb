"""Start a server in its own process group; measure, pause and stop all its processes."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import psutil

READY_S = 90
STOP_S = 15
WORDS = 8  # log lines to quote after a failure
PAUSES = 2  # passes: a process may fork while its parent is being stopped
NOT_INHERITED = {
    "PYTHONPATH",
    "OMP_WAIT_POLICY",
}  # what the benchmark sets for itself, and a server's user wouldn't have


@dataclass
class Running:
    """A running server; `log` is its output file, and each request to it carries `headers`."""

    process: subprocess.Popen[bytes]
    log: Path
    headers: Mapping[str, str] = field(default_factory=dict)
    known: set[psutil.Process] = field(default_factory=set)
    spent: dict[psutil.Process, float] = field(default_factory=dict)

    def tree(self) -> list[psutil.Process]:
        """Return all its processes, parents first, including those that left its process group or session."""
        with contextlib.suppress(psutil.NoSuchProcess):
            parent = psutil.Process(self.process.pid)
            processes = [parent, *parent.children(recursive=True)]
            self.known.update(processes)
            return processes
        return []

    def alive(self) -> bool:
        """Return whether its main process still runs."""
        return self.process.poll() is None

    def cpu_seconds(self) -> float:
        """Return the user and system time of all processes so far; ended ones count as of the last call."""
        for process in self.tree():
            with contextlib.suppress(psutil.Error):
                times = process.cpu_times()
                self.spent[process] = times.user + times.system
        return sum(self.spent.values())

    def memory_mb(self) -> dict[str, float]:
        """Return the memory in MB by program (PSS: shared pages are divided among their users).

        The program's name is cut at the first colon, which groups Ray's processes (`ray::…`).
        """
        total: dict[str, float] = defaultdict(float)
        for process in self.tree():
            with contextlib.suppress(psutil.Error):
                total[process.name().partition(":")[0]] += process.memory_full_info().pss / 1e6
        return dict(total)

    def pause(self) -> None:
        """Suspend all processes, parents first, so that no supervisor notices its suspended children."""
        for _ in range(PAUSES):
            for process in self.tree():
                with contextlib.suppress(psutil.Error):
                    process.suspend()

    def resume(self) -> None:
        """Resume all processes, children first."""
        for process in reversed(self.tree()):
            with contextlib.suppress(psutil.Error):
                process.resume()

    def stop(self) -> None:
        """Stop every process with SIGTERM, then SIGKILL, including orphans."""
        self.tree()
        processes = list(self.known)
        for process in processes:  # a suspended process can't handle SIGTERM
            with contextlib.suppress(psutil.Error):
                process.resume()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGTERM)
        _, alive = psutil.wait_procs(processes, timeout=STOP_S)
        for process in alive:
            with contextlib.suppress(psutil.Error):
                process.kill()
        psutil.wait_procs(alive, timeout=5)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(5)

    def failure(self) -> str:
        """Describe the failure: exit status, the last meaningful line of the log, and the lines before it."""
        state = "it runs" if self.alive() else f"ended with {self.process.returncode}"
        lines = self.log.read_text(errors="replace").splitlines()[-WORDS:]
        last = next((line for line in reversed(lines) if any(map(str.isalnum, line))), "no log")
        return "\n".join([f"{state}: {last.strip()}", *lines])


def start(command: list[str], folder: Path, variables: Mapping[str, str], log: Path) -> Running:
    """Start a server in `folder` that writes its output to `log`."""
    environment = {name: value for name, value in os.environ.items() if name not in NOT_INHERITED} | dict(variables)
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as stream:
        process = subprocess.Popen(
            command, cwd=folder, env=environment, stdout=stream, stderr=subprocess.STDOUT, start_new_session=True
        )
    return Running(process, log)


def post(running: Running, url: str, body: bytes, timeout_s: float) -> int:
    """Return the status of one request, 0 if there was no answer."""
    headers = {"Content-Type": "application/json", **running.headers}
    try:
        return httpx.post(url, content=body, headers=headers, timeout=timeout_s, trust_env=False).status_code
    except httpx.HTTPError:
        return 0


def wait_ready(running: Running, url: str, body: bytes) -> None:
    """Send requests until one is answered; raise RuntimeError with the end of the log after the deadline."""
    deadline = time.monotonic() + READY_S
    while time.monotonic() < deadline and running.alive():
        if post(running, url, body, 30) == 200:
            return
        time.sleep(0.1)
    raise RuntimeError(f"not ready within {READY_S} s, {running.failure()}" if running.alive() else running.failure())
