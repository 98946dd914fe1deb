"""One archive at a time enters or leaves a server's store, whoever moves it."""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator
from pathlib import Path

from onnxserve.errors import ReleaseError

NAME = "store.lock"
POLL_S = 0.1


@contextlib.contextmanager
def store_lock(state: Path, timeout_s: float) -> Iterator[None]:
    """Hold the lock of a state folder within the block; it ends with the process, however that ends.

    ReleaseError if another process has it for longer than `timeout_s`: loading a model may take minutes.
    """
    state.mkdir(parents=True, exist_ok=True)
    path, deadline = state / NAME, time.monotonic() + timeout_s
    lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        while not _taken(lock):
            if time.monotonic() > deadline:
                what = f"another archive has been registered or retired for more than {timeout_s:g} s"
                raise ReleaseError(what, where=str(path), fix="wait until that command ends, then repeat this one")
            time.sleep(POLL_S)
        yield
    finally:
        os.close(lock)


def _taken(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
