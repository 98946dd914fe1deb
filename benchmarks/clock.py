"""A clock that can be set for the processes of a server and nothing else: libfaketime (Debian: faketime).

Envoy doesn't start under it, so Envoy keeps the true time.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from pathlib import Path
from unittest.mock import patch

from onnxserve.edge import processes

LIBRARIES = sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))
SEEN_S = 1  # how often processes look


class Clock:
    """What the time is said to be, beside what it is."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self.ahead(0)

    def ahead(self, seconds: int) -> None:
        """So much later than it is, or earlier; the time since the start of the machine stays what it is."""
        self._file.write_text(f"{seconds:+d}\n", encoding="ascii")
        time.sleep(2 * SEEN_S)


@contextlib.contextmanager
def faked(folder: Path) -> Iterator[Clock | None]:
    """Processes started within have this clock; None where the library isn't installed."""
    if not LIBRARIES:
        yield None
        return
    file = folder / "clock"
    settings = {
        "LD_PRELOAD": str(LIBRARIES[0]),
        "FAKETIME_TIMESTAMP_FILE": str(file),
        "FAKETIME_CACHE_DURATION": str(SEEN_S),
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        "FAKETIME_DONT_RESET": "1",
    }
    free = folder / "envoy"
    free.write_text(f'#!/bin/sh\nunset LD_PRELOAD\nexec {processes.envoy()} "$@"\n', encoding="utf-8")
    free.chmod(0o755)
    with patch.dict(os.environ, settings), patch.object(processes, "envoy", lambda: str(free)):
        yield Clock(file)
