"""The labels of one server, and the edge that obeys them while it runs."""

from __future__ import annotations

import fcntl
from collections.abc import Callable
from pathlib import Path

import msgspec

from .admin import Admin
from .change import change
from .envoy.bootstrap import ADMIN
from .files import replace_file
from .labels import Labels, read_labels, write_labels
from .render import Edge

RUN = "edge"  # the edge's folder within the state
RUNNING = "edge.json"


class Traffic:
    """Labels under a state folder; one change at a time, whoever makes it."""

    def __init__(self, state: Path) -> None:
        self._path = state / "labels.json"
        self._run = state.resolve() / RUN

    @property
    def labels(self) -> Labels:
        """As last set."""
        return read_labels(self._path)

    def started(self, edge: Edge) -> None:
        """Remember what the edge was started with."""
        replace_file(self._run / RUNNING, msgspec.json.encode(edge, enc_hook=str))

    def edge(self) -> Edge | None:
        """The edge, if it runs."""
        path = self._run / RUNNING
        if not path.is_file() or not Admin(self._run / ADMIN).alive():
            return None
        return msgspec.json.decode(path.read_bytes(), type=Edge, dec_hook=lambda _, text: Path(text))

    def move(self, step: Callable[[Labels], Labels], *, before: Callable[[Labels], None] | None = None) -> Labels:
        """Apply a step to the labels: `before` first, then the running edge, then the file.

        Whatever raises leaves the file as it was. Returns the new labels.
        """
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.with_suffix(".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            labels = step(self.labels)
            if before:
                before(labels)
            edge = self.edge()
            if edge:
                change(edge, labels)
            write_labels(self._path, labels)
            return labels
