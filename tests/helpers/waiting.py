"""Waiting for what another thread or process does: with a deadline, never for a duration."""

from __future__ import annotations

import time
from collections.abc import Callable

PROMISED_S = 30.0  # for what the program does within a few seconds: a busy machine needs several times as long


def wait_for(condition: Callable[[], object], seconds: float = 180) -> None:
    """Poll until it holds, or fail after the deadline [s], which allows for a start of TorchServe on a busy machine."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"it didn't happen within {seconds:g} s"
        time.sleep(0.02)
