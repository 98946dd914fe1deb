"""What was released when and by whom: one JSON line an event, appended, never rewritten."""

from __future__ import annotations

import datetime as dt
import getpass
from collections.abc import Sequence
from pathlib import Path

import msgspec


class Event(msgspec.Struct, frozen=True):
    """A change of one model's labels, or of what is registered; `changes` says it in words."""

    time: str
    model: str
    action: str
    version: str
    by: str = ""
    changes: tuple[str, ...] = ()


class History:
    """The audit log of a state folder."""

    def __init__(self, state: Path) -> None:
        self.path = state / "releases.jsonl"

    def record(self, model: str, action: str, version: str, changes: Sequence[str] = ()) -> None:
        """Append one event, with the time in UTC."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        now = dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
        event = Event(now, model, action, version, user(), tuple(changes))
        with self.path.open("ab") as stream:
            stream.write(msgspec.json.encode(event) + b"\n")

    def events(self, model: str) -> list[Event]:
        """All events of a model, oldest first."""
        if not self.path.is_file():
            return []
        lines = self.path.read_bytes().splitlines()
        return [event for line in lines if (event := msgspec.json.decode(line, type=Event)).model == model]


def user() -> str:
    """Who runs this; empty where the system doesn't know, as in some containers."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return ""
