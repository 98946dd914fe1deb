"""What was released when: one JSON line an event, appended, never rewritten."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import msgspec


class Event(msgspec.Struct, frozen=True):
    """A change of one model's default version, or of what is registered."""

    time: str
    model: str
    action: str
    version: str
    previous: str = ""


class History:
    """The audit log of a state folder."""

    def __init__(self, state: Path) -> None:
        self.path = state / "releases.jsonl"

    def record(self, model: str, action: str, version: str, previous: str = "") -> None:
        """Append one event, with the time in UTC."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        now = dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
        with self.path.open("ab") as stream:
            stream.write(msgspec.json.encode(Event(now, model, action, version, previous)) + b"\n")

    def events(self, model: str) -> list[Event]:
        """All events of a model, oldest first."""
        if not self.path.is_file():
            return []
        lines = self.path.read_bytes().splitlines()
        return [event for line in lines if (event := msgspec.json.decode(line, type=Event)).model == model]

    def last_default(self, model: str) -> str | None:
        """The version that was made default last, None when there was never a choice."""
        chosen = [event.version for event in self.events(model) if event.action in ("default", "rollback")]
        return chosen[-1] if chosen else None

    def before(self, model: str, current: str) -> str | None:
        """The default before `current` became it."""
        for event in reversed(self.events(model)):
            if event.action in ("default", "rollback") and event.version == current and event.previous:
                return event.previous
        return None
