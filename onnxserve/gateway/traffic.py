"""The labels of one server, and the gateway that obeys them while it runs."""

from __future__ import annotations

import fcntl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from .control import Control
from .files import replace_file, write_json
from .gateway import CONTROL, Gateway
from .labels import Labels, read_labels, write_labels
from .roles import roles_document

RUN = "run"  # the gateway's folder within the state
RUNNING = "gateway.json"
ROLES = "roles.json"  # what nginx takes up when it begins


class Traffic:
    """Labels under a state folder; one change at a time, whoever makes it."""

    def __init__(self, state: Path) -> None:
        self._path = state / "labels.json"
        self._run = state.resolve() / RUN

    @property
    def labels(self) -> Labels:
        """As last set."""
        return read_labels(self._path)

    def started(self, gateway: Gateway) -> None:
        """From now on a change counts only when the gateway confirms it."""
        replace_file(self._run / RUNNING, msgspec.json.encode(gateway.config))

    def stopped(self) -> None:
        """The gateway was ended on purpose."""
        (self._run / RUNNING).unlink(missing_ok=True)

    @property
    def control(self) -> Control | None:
        """The gateway, if there should be one."""
        return Control(self._run / CONTROL) if (self._run / RUNNING).is_file() else None

    def move(self, step: Callable[[Labels], Labels], *, before: Callable[[Labels], None] | None = None) -> Labels:
        """Apply a step to the labels: `before` first, then the running gateway, then the file.

        Whatever raises leaves everything as it was. Returns the new labels.
        """
        with self._locked():
            old = self.labels
            new = msgspec.structs.replace(step(old), generation=old.generation + 1)
            if before:
                before(new)
            if control := self.control:
                control.put(roles_document(new))
            try:
                self._write(new)
            except BaseException:
                if control:
                    control.put(roles_document(old))
                raise
            return new

    def set_aside(self) -> Path:
        """Keep a damaged file under another name; that name."""
        kept = self._path.with_suffix(".json.damaged")
        self._path.replace(kept)
        return kept

    def reconcile(self) -> bool:
        """Give the gateway the labels again unless it has them in force; whether it had to."""
        with self._locked():
            control, document = self.control, roles_document(self.labels)
            if control is None or control.digest() == document["digest"]:
                return False
            control.put(document)
            return True

    def _write(self, labels: Labels) -> None:
        write_json(self._run / ROLES, roles_document(labels))
        write_labels(self._path, labels)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.with_suffix(".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
