"""Servers that run beside us, each in a process group of its own: ending exactly that group, and who has a port."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess


def end_group(process: subprocess.Popen[bytes], kind: signal.Signals, patience_s: float) -> None:
    """End the group that `process` leads, first kindly, by `kind`; who outlives it or `patience_s` is killed."""
    for one in (kind, signal.SIGKILL):
        try:
            os.killpg(process.pid, one)
        except ProcessLookupError:
            return
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(patience_s)


def listening(port: int) -> bool:
    """Whether somebody listens on a port of this machine."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0
