"""The roles of one server, recorded in its state folder and put in force at the running gateway."""

from __future__ import annotations

from collections.abc import Callable
from itertools import chain, count
from pathlib import Path

import msgspec

from onnxserve.disk import replace_file
from onnxserve.errors import GatewayError
from onnxserve.file_lock import lock_file

from .files import write_files, write_json
from .gateway import CONTROL, Control, Gateway
from .roles import FILE, Roles, read_roles, roles_document, roles_path

RUN = "run"  # the gateway's folder within the state folder
RUNNING = "gateway.json"
ROLES = "roles.json"  # in the run folder: what nginx reads when it starts
KEPT = "roles.before-development.json"


class RoleStore:
    """The roles of a state folder. One change happens at a time, whichever process makes it.

    The object remembers the roles that it read last, and continues with them when the file is lost or damaged.
    """

    def __init__(self, state: Path) -> None:
        self._state = state
        self._path = state / FILE
        self._run = state.resolve() / RUN
        self._known: Roles | None = None

    @property
    def roles(self) -> Roles:
        """Return the roles as last set. GatewayError when the file is damaged and was never read before."""
        self._known = self._read() or self._known
        return self._known or Roles()

    def record_start(self, gateway: Gateway) -> None:
        """Record that a gateway runs: from now on a change counts only when the gateway confirms it."""
        write_files(self._run, {RUNNING: msgspec.json.encode(gateway.config)})

    def record_stop(self) -> None:
        """Record that the gateway was stopped on purpose."""
        (self._run / RUNNING).unlink(missing_ok=True)

    @property
    def control(self) -> Control | None:
        """Return the running gateway's control socket; None when no gateway should run."""
        return Control(self._run / CONTROL) if (self._run / RUNNING).is_file() else None

    def move(self, step: Callable[[Roles], Roles], *, before: Callable[[Roles], None] | None = None) -> Roles:
        """Apply a step to the roles and return the new ones: `before` first, then the running gateway, then the file.

        An exception leaves everything as it was. `before` may take long, so other steps may happen meanwhile; after
        one of those, `before` is called again with the roles that result then.
        """
        while True:
            old = self.roles
            new = msgspec.structs.replace(step(old), generation=old.generation + 1)
            if before:
                before(new)
            with lock_file(self._path):
                if self.roles == old:
                    self._put(old, new)
                    return new

    def _put(self, old: Roles, new: Roles) -> None:
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
        """Rename a damaged file, so that the next start writes a new one; return its new path.

        GatewayError if it isn't damaged, such as after another process wrote it again.
        """
        with lock_file(self._path):
            path = roles_path(self._state)
            try:
                read_roles(path)
            except GatewayError:
                return _move_aside(path)
        raise GatewayError("the file isn't damaged any more, so it stays", where=str(path))

    def keep(self) -> None:
        """Copy the file, so that `put_back` undoes all steps from now on."""
        with lock_file(self._path):
            path = roles_path(self._state)
            if path.is_file():
                replace_file(self._state / KEPT, path.read_bytes())

    def put_back(self) -> None:
        """Put the file back that was kept, if one was, in the place of the present one."""
        with lock_file(self._path):
            if (self._state / KEPT).is_file():
                (self._state / KEPT).replace(self._path)
                self._known = None

    def reconcile(self) -> list[str]:
        """Write the roles again if the file was lost or damaged, and send them to a gateway that has others.

        Returns what had to be done, one sentence an action.
        """
        with lock_file(self._path):
            roles, actions = self.roles, []
            if self._read() is None:
                self._write(roles)
                actions.append(f"written again, since {self._path.name} was lost or damaged")
            control, document = self.control, roles_document(roles)
            if control is not None and control.in_force().digest != document["digest"]:
                control.put(document)
                actions.append("given to the gateway again")
            return actions

    def _read(self) -> Roles | None:
        """Return the roles in the file; None if the file was lost, or was damaged after it had been read."""
        try:
            return read_roles(roles_path(self._state))
        except GatewayError:
            if self._known is None:
                raise
            return None

    def _write(self, roles: Roles) -> None:
        replace_file(self._run / ROLES, msgspec.json.encode(roles_document(roles)))  # nginx reads it at its next start
        former = roles_path(self._state)
        if former != self._path:
            former.replace(self._path)  # on a full disk there is room only where a file lies already
        write_json(self._path, roles)


def _move_aside(path: Path) -> Path:
    """Rename a file to a name that no earlier damaged one has; return its new path."""
    suffixes = chain([".damaged"], (f".damaged.{number}" for number in count(2)))
    kept = next(free for suffix in suffixes if not (free := Path(f"{path}{suffix}")).exists())
    path.replace(kept)
    return kept
