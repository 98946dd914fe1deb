"""Ending exactly one process group."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import weakref

import psutil

LIVING: set[subprocess.Popen[bytes]] = set()  # started and not ended yet
_ended: weakref.WeakSet[subprocess.Popen[bytes]] = weakref.WeakSet()


def end_group(process: subprocess.Popen[bytes], kind: signal.Signals, patience_s: float) -> None:
    """Send `kind` to the group's leader; after `patience_s`, or when the leader has ended, kill the rest of the group.

    A second call does nothing, since another group may have the id by then.
    """
    if process in _ended:
        return
    if patience_s > 0 and process.poll() is None:
        process.send_signal(kind)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(patience_s)
    _kill(process)
    process.wait()
    _ended.add(process)
    LIVING.discard(process)


def end_all() -> None:
    """Kill every group that was started and hasn't ended, without waiting."""
    for process in tuple(LIVING):
        _kill(process)


def reap_orphans() -> None:
    """Reap zombies that the kernel handed to this process, as it does to process 1 of a container."""
    known = {process.pid for process in tuple(LIVING)}
    for child in psutil.Process().children():
        with contextlib.suppress(psutil.Error, OSError):
            # Children in our own session are waited for elsewhere.
            orphan = child.pid not in known and os.getsid(child.pid) != os.getsid(0)
            if orphan and child.status() == psutil.STATUS_ZOMBIE:
                os.waitpid(child.pid, os.WNOHANG)


def _kill(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def listening(port: int) -> bool:
    """Return whether a process listens on a TCP port of this machine."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0
