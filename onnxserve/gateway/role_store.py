"""The labels of one server, and the gateway that obeys them while it runs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec

from onnxserve.errors import GatewayError

from .files import locked, replace_file, write_files, write_json
from .gateway import CONTROL, Control, Gateway
from .roles import Labels, read_labels, roles_document

RUN = "run"  # the gateway's folder within the state
RUNNING = "gateway.json"
ROLES = "roles.json"  # what nginx takes up when it begins


class Traffic:
    """Labels under a state folder; one change at a time, whoever makes it.

    Whoever keeps one of these remembers the labels, and goes on with them when the file is lost or damaged.
    """

    def __init__(self, state: Path) -> None:
        self._path = state / "labels.json"
        self._run = state.resolve() / RUN
        self._known: Labels | None = None

    @property
    def labels(self) -> Labels:
        """As last set. GatewayError when the file is damaged and was never read before."""
        self._known = self._recorded() or self._known
        return self._known or Labels()

    def started(self, gateway: Gateway) -> None:
        """From now on a change counts only when the gateway confirms it."""
        write_files(self._run, {RUNNING: msgspec.json.encode(gateway.config)})

    def stopped(self) -> None:
        """The gateway was ended on purpose."""
        (self._run / RUNNING).unlink(missing_ok=True)

    @property
    def control(self) -> Control | None:
        """The gateway, if there should be one."""
        return Control(self._run / CONTROL) if (self._run / RUNNING).is_file() else None

    def move(self, step: Callable[[Labels], Labels], *, before: Callable[[Labels], None] | None = None) -> Labels:
        """Apply a step to the labels: `before` first, then the running gateway, then the file.

        Whatever raises leaves everything as it was. `before` may take long, so other steps go on meanwhile; after one,
        it is called again with what is new then. Returns the new labels.
        """
        while True:
            old = self.labels
            new = msgspec.structs.replace(step(old), generation=old.generation + 1)
            if before:
                before(new)
            with locked(self._path):
                if self.labels == old:
                    self._put(old, new)
                    return new

    def _put(self, old: Labels, new: Labels) -> None:
        if control := self.control:
            control.put(roles_document(new))
        try:
            self._write(new)
        except BaseException:
            if control:
                control.put(roles_document(old))
            raise
        self._known = new

    def set_aside(self) -> Path:
        """Keep a damaged file under another name; that name."""
        kept = self._path.with_suffix(".json.damaged")
        self._path.replace(kept)
        return kept

    def reconcile(self) -> list[str]:
        """Write the labels again if the file was lost or damaged, and give them to the gateway unless it has them.

        What had to be done with the roles, in words.
        """
        with locked(self._path):
            labels, done = self.labels, []
            if self._recorded() is None:
                self._write(labels)
                done.append(f"written again, since {self._path.name} was lost or damaged")
            control, document = self.control, roles_document(labels)
            if control is not None and control.in_force().digest != document["digest"]:
                control.put(document)
                done.append("given to the gateway again")
            return done

    def _recorded(self) -> Labels | None:
        """What the file says; None where it was lost, or damaged since it was read."""
        try:
            return read_labels(self._path)
        except GatewayError:
            if self._known is None:
                raise
            return None

    def _write(self, labels: Labels) -> None:
        replace_file(self._run / ROLES, msgspec.json.encode(roles_document(labels)))  # as a start writes it
        write_json(self._path, labels)
