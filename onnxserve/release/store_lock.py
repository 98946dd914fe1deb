"""A lock between processes: only one at a time adds archives to a server's store or removes them."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from pathlib import Path

from onnxserve.errors import ReleaseError
from onnxserve.file_lock import try_lock

NAME = "store.lock"
POLL_S = 0.1


@contextlib.contextmanager
def store_lock(state: Path, timeout_s: float) -> Iterator[None]:
    """Hold the lock of a state folder within the block.

    ReleaseError if another process holds it for longer than `timeout_s`; loading a model may take minutes.
    """
    state.mkdir(parents=True, exist_ok=True)
    path, deadline = state / NAME, time.monotonic() + timeout_s
    lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        while not try_lock(lock):
            if time.monotonic() > deadline:
                what = f"another archive has been registered or retired for more than {timeout_s:g} s"
                raise ReleaseError(what, where=str(path), fix="wait until that command ends, then repeat this one")
            time.sleep(POLL_S)
        yield
    finally:
        os.close(lock)
