"""The lock of the one process that controls the automatic canaries of a state folder."""

from __future__ import annotations

import os
import time
from pathlib import Path

from onnxserve.errors import ReleaseError
from onnxserve.file_lock import try_lock
from onnxserve.gateway import RoleStore
from onnxserve.gateway.role_store import RUN

NAME = "judge.lock"
POLL_S = 0.1
SOON_S = 2.0  # `serve` reports that it is ready a moment before its controller starts


class ControllerLock:
    """The lock of a controller, held from the first successful `take` until `close`."""

    def __init__(self, state: Path) -> None:
        self._path = state / RUN / NAME
        self._lock: int | None = None

    def take(self) -> bool:
        """Take the lock; False while another process holds it."""
        if self._lock is None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            lock = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            if not try_lock(lock):
                os.close(lock)
                return False
            self._lock = lock
        return True

    def close(self) -> None:
        """Release the lock, so that another process can take it."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def __del__(self) -> None:
        self.close()


def controller_runs(state: Path, within_s: float) -> bool:
    """Return whether a controller holds the lock, or takes it within `within_s` seconds."""
    lock, deadline = ControllerLock(state), time.monotonic() + within_s
    while lock.take():
        lock.close()
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL_S)
    return True


def check_controller_runs(role_store: RoleStore, state: Path) -> None:
    """Raise ReleaseError unless a gateway logs answers and a controller compares them."""
    if role_store.control is None or not controller_runs(state, SOON_S):
        raise ReleaseError(
            "nothing would control an automatic canary: `onnxserve serve` with its gateway isn't running",
            where=str(state),
            fix="start it, or name its state folder with --state; without --auto the share stays constant",
        )
