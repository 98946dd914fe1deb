"""When each API key was last used, read from the access log so that no request is delayed."""

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
    """Keeps the times in a file of the state folder, at most `PERIOD_S` late."""

    def __init__(self, path: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self._path, self._clock = path, clock
        self._uses = key_uses(path)
        self._changed = False
        self._saved = clock()

    def add(self, entries: Sequence[Entry]) -> None:
        """Note the time of requests with a key."""
        for entry in entries:
            if entry.key and entry.at > self._uses.get(entry.key, 0.0):
                self._uses[entry.key] = entry.at
                self._changed = True

    def tick(self) -> None:
        """Save new times every `PERIOD_S`."""
        if self._changed and self._clock() - self._saved >= PERIOD_S:
            self.save()

    def save(self) -> None:
        """Replace the file if a time changed; a failure, as on a full disk, is retried later."""
        if self._changed:
            self._saved = self._clock()
            with contextlib.suppress(OSError):
                write_json(self._path, self._uses)
                self._changed = False


def key_uses(path: Path) -> Uses:
    """Read the file; empty if it is missing or damaged, since it fills again."""
    with contextlib.suppress(OSError, msgspec.DecodeError):
        return msgspec.json.decode(path.read_bytes(), type=Uses)
    return {}
