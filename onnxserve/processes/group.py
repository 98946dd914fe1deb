"""Ending a process group, exactly that one."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess

LIVING: set[subprocess.Popen[bytes]] = set()  # started and not ended yet


def end_group(process: subprocess.Popen[bytes], kind: signal.Signals, patience_s: float) -> None:
    """Send `kind` to the group's leader; after `patience_s`, or when it has ended, kill who is left of the group."""
    if patience_s > 0 and process.poll() is None:
        process.send_signal(kind)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(patience_s)
    _kill(process)
    process.wait()
    LIVING.discard(process)


def end_all() -> None:
    """Kill every group that was started and not ended; for whoever can't wait."""
    for process in tuple(LIVING):
        _kill(process)


def _kill(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def listening(port: int) -> bool:
    """Whether somebody listens on a port of this machine."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0
