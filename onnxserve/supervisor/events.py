"""What happened to the services: a line of JSON an event in a file, the same in words on the console."""

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
    """The log of a supervisor. A full disk costs lines, never the supervisor."""

    def __init__(self, path: Path, say: Callable[[str], None] = lambda _: None) -> None:
        self.path = path
        self._say = say

    def record(self, service: str, event: str, detail: str = "") -> None:
        """Write one event."""
        time = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        line = msgspec.json.encode(Event(time, service, event, detail)) + b"\n"
        # Opened anew for each line: the file may have been renamed meanwhile, or the disk may have room again.
        with contextlib.suppress(OSError), self.path.open("ab", buffering=0) as log:
            log.write(line)
        with contextlib.suppress(OSError):  # the console may be a file on the same disk, or a pipe that was closed
            self._say(f"{service} {event}" + (f": {detail}" if detail else ""))
