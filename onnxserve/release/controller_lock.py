"""Whether a process judges the canaries of a state folder: it holds a lock that ends with it."""

from __future__ import annotations

import fcntl
import os
import time
from pathlib import Path

from onnxserve.errors import ReleaseError
from onnxserve.gateway import RoleStore
from onnxserve.gateway.role_store import RUN

NAME = "judge.lock"
POLL_S = 0.1
SOON_S = 2.0  # `serve` says that it is ready a moment before it judges


class ControllerLock:
    """Held by whoever judges, from the first `take` that succeeds on until it is closed."""

    def __init__(self, state: Path) -> None:
        self._path = state / RUN / NAME
        self._lock: int | None = None

    def take(self) -> bool:
        """Hold the lock; False while another process has it."""
        if self._lock is None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            lock = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(lock)
                return False
            self._lock = lock
        return True

    def close(self) -> None:
        """Let another process judge."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def __del__(self) -> None:
        self.close()


def is_judged(state: Path, within_s: float) -> bool:
    """Whether a process judges, now or soon."""
    presence, deadline = ControllerLock(state), time.monotonic() + within_s
    while presence.take():
        presence.close()
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL_S)
    return True


def check_judged(role_store: RoleStore, state: Path) -> None:
    """ReleaseError unless a gateway notes answers and a process judges them."""
    if role_store.control is None or not is_judged(state, SOON_S):
        raise ReleaseError(
            "nothing would judge an automatic canary: `onnxserve serve` with its gateway doesn't run",
            where=str(state),
            fix="start it, or name its state folder with --state; without --auto the share stays as it is",
        )
