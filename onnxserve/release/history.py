"""What was released when and by whom: one JSON line an event, appended, never rewritten."""

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
    """A change of one model's labels, or of what is registered; `changes` says it in words."""

    time: str
    model: str
    action: str
    version: str
    by: str = ""
    changes: tuple[str, ...] = ()


class Unrecorded(ReleaseError):
    """A step that is in force, and that the history doesn't have."""

    exit_code = 3


class History:
    """The audit log of a state folder. What can't be written, as on a full disk, undoes no step that is in force.

    `unwritten` are the events that are kept for the next chance, and `failure` says why.
    """

    def __init__(self, state: Path) -> None:
        self.path = state / "releases.jsonl"
        self.unwritten: list[Event] = []
        self.failure = ""

    def record(self, model: str, action: str, version: str, changes: Sequence[str] = ()) -> None:
        """Append one event, with the time in UTC, after those that are kept."""
        now = dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
        self.unwritten.append(Event(now, model, action, version, user(), tuple(changes)))
        self.flush()

    def flush(self) -> None:
        """Write what is kept, if that is possible now."""
        try:
            while self.unwritten:
                append(self.path, msgspec.json.encode(self.unwritten[0]) + b"\n")
                del self.unwritten[0]
        except OSError as error:
            self.failure = error.strerror or str(error)

    def check_written(self) -> None:
        """Unrecorded if an event is kept that would be lost with this process."""
        if self.unwritten:
            lines = " ".join(msgspec.json.encode(event).decode() for event in self.unwritten)
            what = f"the step is in force, but the history has no line of it: {self.failure}"
            raise Unrecorded(what, where=str(self.path), fix=f"make room, then append: {lines}")

    def events(self, model: str) -> list[Event]:
        """All events of a model, oldest first; damaged lines are left out."""
        if not self.path.is_file():
            return []
        found = (_decoded(line) for line in self.path.read_bytes().splitlines())
        return [event for event in found if event and event.model == model]


def append(path: Path, line: bytes) -> None:
    """The whole line at the end of a file, or OSError and nothing of it."""
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
    """Whether nothing was left unfinished, as by a loss of power: what is appended would be lost with it."""
    if not size or not stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
        return True
    return os.pread(stream.fileno(), 1, size - 1) == b"\n"


def _decoded(line: bytes) -> Event | None:
    try:
        return msgspec.json.decode(line, type=Event)
    except msgspec.DecodeError:
        return None


def user() -> str:
    """Who runs this; empty where the system doesn't know, as in some containers."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return ""
