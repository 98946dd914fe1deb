"""A rival's processes: started in a group of their own, watched, ended."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil

READY_S = 90


@dataclass
class Running:
    """A started rival; `log` is where it writes."""

    process: subprocess.Popen[bytes]
    log: Path

    def tree(self) -> list[psutil.Process]:
        """All its processes; some rivals leave the group or the session of their parent."""
        with contextlib.suppress(psutil.NoSuchProcess):
            parent = psutil.Process(self.process.pid)
            return [parent, *parent.children(recursive=True)]
        return []

    def cpu_seconds(self) -> float:
        """User and system time of all processes so far."""
        total = 0.0
        for one in self.tree():
            with contextlib.suppress(psutil.Error):
                times = one.cpu_times()
                total += times.user + times.system
        return total

    def megabytes(self) -> float:
        """Memory of all processes, shared pages counted once (PSS)."""
        total = 0.0
        for one in self.tree():
            with contextlib.suppress(psutil.Error):
                total += one.memory_full_info().pss / 1e6
        return total

    def stop(self) -> None:
        """End every process, first kindly."""
        processes = self.tree()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGTERM)
        _, alive = psutil.wait_procs(processes, timeout=15)
        for one in alive:
            with contextlib.suppress(psutil.Error):
                one.kill()
        psutil.wait_procs(alive, timeout=5)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(5)


def start(command: list[str], folder: Path, variables: dict[str, str], log: Path) -> Running:
    """Start a rival in `folder` with its output in `log`."""
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"} | variables
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as stream:
        process = subprocess.Popen(
            command, cwd=folder, env=environment, stdout=stream, stderr=subprocess.STDOUT, start_new_session=True
        )
    return Running(process, log)


def wait_ready(running: Running, url: str, body: bytes) -> None:
    """Post until there is an answer; RuntimeError with the end of the log when there is none."""
    deadline = time.monotonic() + READY_S
    while time.monotonic() < deadline and running.process.poll() is None:
        with contextlib.suppress(httpx.HTTPError):
            headers = {"Content-Type": "application/json"}
            if httpx.post(url, content=body, headers=headers, timeout=30, trust_env=False).status_code == 200:
                return
        time.sleep(0.3)
    tail = "\n".join(running.log.read_text(errors="replace").splitlines()[-8:])
    raise RuntimeError(f"not ready within {READY_S} s: {tail}")
