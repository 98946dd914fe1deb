"""The log of service events: one JSON line per event in a file, and the same as text on the console."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import msgspec

FILE = "supervisor.log"


class Event(msgspec.Struct, frozen=True):
    """One event; `time` is ISO 8601 in UTC."""

    time: str
    service: str
    event: str
    detail: str = ""


class Events:
    """The log of a supervisor. On a full disk lines are lost; the supervisor goes on."""

    def __init__(self, path: Path, say: Callable[[str], None] = lambda _: None) -> None:
        self.path = path
        self._say = say

    def record(self, service: str, event: str, detail: str = "") -> None:
        """Record one event."""
        time = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        line = msgspec.json.encode(Event(time, service, event, detail)) + b"\n"
        # Opened for each line, since the file may have been renamed meanwhile, or the disk may have room again.
        with contextlib.suppress(OSError), self.path.open("ab", buffering=0) as log:
            log.write(line)
        with contextlib.suppress(OSError):  # the console may be a file on the full disk, or a closed pipe
            self._say(f"{service} {event}" + (f": {detail}" if detail else ""))
