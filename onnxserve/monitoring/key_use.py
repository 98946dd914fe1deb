"""When each API key was last used: taken from the access log, so that no request waits for it."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from onnxserve.gateway.files import write_json

from .access_log import Entry

KEY_USE = "key_use.json"
PERIOD_S = 10.0
Uses = dict[str, float]  # seconds since 1970, by the id of the key


class KeyUse:
    """Keeps the times in a file of the state folder, which is at most `PERIOD_S` behind."""

    def __init__(self, path: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self._path, self._clock = path, clock
        self._uses = key_uses(path)
        self._changed = False
        self._saved = clock()

    def add(self, entries: Sequence[Entry]) -> None:
        """Take requests into account; those that no key opened have none."""
        for entry in entries:
            if entry.key and entry.at > self._uses.get(entry.key, 0.0):
                self._uses[entry.key] = entry.at
                self._changed = True

    def tick(self) -> None:
        """Save what is new, now and then."""
        if self._changed and self._clock() - self._saved >= PERIOD_S:
            self.save()

    def save(self) -> None:
        """Replace the file if there is news; on a full disk it stays as it was, and is tried again."""
        if self._changed:
            self._saved = self._clock()
            with contextlib.suppress(OSError):
                write_json(self._path, self._uses)
                self._changed = False


def key_uses(path: Path) -> Uses:
    """What a file says; nothing where there is none or it is damaged: it is no authority, and grows again."""
    with contextlib.suppress(OSError, msgspec.DecodeError):
        return msgspec.json.decode(path.read_bytes(), type=Uses)
    return {}
