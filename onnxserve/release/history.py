"""The release history: who changed what and when, one JSON line per event, only ever appended."""

from __future__ import annotations

import contextlib
import datetime as dt
import errno
import fcntl
import getpass
import io
import os
import stat
from collections.abc import Sequence
from pathlib import Path

import msgspec

from onnxserve.errors import ReleaseError


class Event(msgspec.Struct, frozen=True):
    """A change of one model's roles or of its registered versions; `changes` describes it."""

    time: str
    model: str
    action: str
    version: str
    by: str = ""
    changes: tuple[str, ...] = ()


class HistoryNotWritten(ReleaseError):
    """A step is in force, but the history couldn't be written."""

    exit_code = 3


class History:
    """The release history of a state folder. A step stays in force even if its event can't be written.

    Events name `by`, by default the user of this process. `unwritten` are the events to be written at the next chance;
    `failure` is the reason why they couldn't be.
    """

    def __init__(self, state: Path, by: str = "") -> None:
        self.path = state / "releases.jsonl"
        self._by = by or user()
        self.unwritten: list[Event] = []
        self.failure = ""

    def record(self, model: str, action: str, version: str, changes: Sequence[str] = ()) -> None:
        """Append one event with the time in UTC, after those that couldn't be written before."""
        now = dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
        self.unwritten.append(Event(now, model, action, version, self._by, tuple(changes)))
        self.flush()

    def flush(self) -> None:
        """Try to write the unwritten events."""
        try:
            while self.unwritten:
                append(self.path, msgspec.json.encode(self.unwritten[0]) + b"\n")
                del self.unwritten[0]
        except OSError as error:
            self.failure = error.strerror or str(error)

    def check_written(self) -> None:
        """Raise HistoryNotWritten if an event is unwritten and would be lost with this process."""
        if self.unwritten:
            lines = " ".join(msgspec.json.encode(event).decode() for event in self.unwritten)
            what = f"the step is in force, but the history can't be written: {self.failure}"
            raise HistoryNotWritten(
                what, where=str(self.path), fix=f"free disk space, then append to the file: {lines}"
            )

    def events(self, model: str) -> list[Event]:
        """Return all events of a model, oldest first; damaged lines are skipped."""
        if not self.path.is_file():
            return []
        events = (_decode(line) for line in self.path.read_bytes().splitlines())
        return [event for event in events if event and event.model == model]


def append(path: Path, line: bytes) -> None:
    """Append the whole line to a file, or raise OSError and leave the file unchanged."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab+", buffering=0) as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        before = os.fstat(stream.fileno()).st_size
        whole = line if _ends_a_line(stream, before) else b"\n" + line
        try:
            if stream.write(whole) != len(whole):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError:
            with contextlib.suppress(OSError):
                stream.truncate(before)
            raise


def _ends_a_line(stream: io.FileIO, size: int) -> bool:
    """Return whether the file ends with a whole line; a power failure may leave half of one, which spoils the next."""
    if not size or not stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
        return True
    return os.pread(stream.fileno(), 1, size - 1) == b"\n"


def _decode(line: bytes) -> Event | None:
    try:
        return msgspec.json.decode(line, type=Event)
    except msgspec.DecodeError:
        return None


def user() -> str:
    """Return the name of the current user; empty where the system has none, as in some containers."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return ""
