"""The release steps on one server. Each step refuses what would lose requests, and is recorded in the history."""

from __future__ import annotations

import contextlib
import copy
import os
import time
import uuid
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import msgspec

from onnxserve.errors import ReleaseError, ServerError
from onnxserve.gateway import Canary, Roles, Share

from . import transitions
from .compatibility import check_same_signature
from .controller_lock import check_controller_runs
from .loading import LOG, ServerLog, is_loaded
from .proven import check_proven
from .registration import check_removable, staged_archive, stored_versions, withdraw
from .store_lock import store_lock
from .versions import Versions

READY_S = 180.0
DRAIN_S = 60.0
LOCK_S = READY_S + 20.0  # another archive may be loaded meanwhile
# After the queue is empty one batch may still run, taken before the roles moved.
GRACE_S = 2.0
# On a GPU several workers share a processor; more than these only take memory.
WORKERS_PER_PROCESSOR = 8
WHOLE = 100.0  # percent


class ReleaseService(Versions):
    """Release steps on one server."""

    accepted: Sequence[str] | None = None  # the changes of roles that a step may make; None for any

    def accepting(self, changes: Sequence[str]) -> ReleaseService:
        """Return this service, but a step of roles is refused with ReleaseError unless it makes just these changes."""
        service = copy.copy(self)
        service.accepted = changes
        return service

    def register(self, archive: Path) -> str:
        """Check an archive, load it beside the others, and store it once a worker is ready; return its version.

        ArchiveError if it isn't what it records; ReleaseError or ServerError if it can't be loaded, or the server has
        the version from elsewhere. A failure leaves server and store as they were. Other archives wait until this one
        is registered.
        """
        with store_lock(self.history.path.parent, LOCK_S), staged_archive(archive, self.stores) as staged:
            checked, name, version = staged.checked, staged.checked.name, staged.checked.version
            if version not in self._versions(name):
                self._load(staged.file, name, version)
            elif version not in stored_versions(self.store).get(name, {}):
                what = f"the server has {name} {version} from another source, which was never verified"
                raise ReleaseError(what, fix=f"onnxserve release retire {name} {version}")
        self._move("register", name, version, lambda now: transitions.register(now, name, version, checked.sha256))
        return version

    def _load(self, file: str, name: str, version: str) -> None:
        log = ServerLog(self.history.path.with_name(LOG))
        try:
            self.management.register(file)
            loaded = partial(is_loaded, self.management, log, name, version)
            self.management.wait(f"{name} {version} ready", loaded, READY_S)
        except BaseException:
            with contextlib.suppress(ServerError, ReleaseError):  # TorchServe may not have registered it
                if self._find(name, version).model_url == file:  # not one that another process registered
                    self.management.unregister(name, version)
            raise

    def canary(
        self,
        model: str,
        share: Canary,
        *,
        other_signature: bool = False,
        accept_unproven: bool = False,
        plan: bool = False,
        why: Sequence[str] = (),
    ) -> list[str]:
        """Let a version answer a share of the requests; return what changes, one line a role. `plan` changes nothing.

        A share without an id starts a new canary. A share with an id is the next step of that canary, which is refused
        once the canary has ended. ReleaseError if the signature differs from the stable version's, unless
        `other_signature` is set, and if no controller runs for an automatic canary. An unproven version may answer a
        part of the requests, but not all of them, now or in the end, unless `accept_unproven` is set.
        """
        if share.id:
            step = transitions.require_canary(partial(transitions.set_canary, name=model, share=share), model, share.id)
            return self._move("canary", model, share.version, step, plan=plan, why=why)
        if share.auto and not plan:
            check_controller_runs(self.role_store, self.history.path.parent)
        if not other_signature:
            self._check_signature(model, share.version)
        if not accept_unproven and (share.auto or share.percent >= WHOLE):
            self._check_proven(model, share.version)
        share = msgspec.structs.replace(share, id=uuid.uuid4().hex)
        step = partial(transitions.set_canary, name=model, share=share)
        return self._move("canary", model, share.version, step, plan=plan, why=why)

    def shadow(self, model: str, share: Share | None, *, plan: bool = False) -> list[str]:
        """Send a version copies of a share of the requests; None stops that."""
        version = share.version if share else ""
        return self._move("shadow", model, version, lambda now: transitions.set_shadow(now, model, share), plan=plan)

    def smaller(
        self,
        model: str,
        version: str,
        *,
        other_signature: bool = False,
        accept_unproven: bool = False,
        plan: bool = False,
    ) -> list[str]:
        """Name a cheaper version that answers when the stable one is too busy; an empty name removes it.

        ReleaseError if its signature differs from the stable version's, whose clients it will answer, unless
        `other_signature` is set, and if it is unproven, unless `accept_unproven` is set.
        """
        if version and not other_signature:
            self._check_signature(model, version)
        if version and not accept_unproven:
            self._check_proven(model, version)
        step = partial(transitions.set_smaller, name=model, version=version)
        return self._move("smaller", model, version, step, plan=plan)

    def level(self, model: str, level: int, *, why: Sequence[str] = ()) -> list[str]:
        """Move a model to a level of the brown-out ladder."""
        return self._move("brown-out", model, "", partial(transitions.set_level, name=model, level=level), why=why)

    def promote(  # noqa: PLR0913 - each is a flag of the command
        self,
        model: str,
        version: str = "",
        *,
        other_signature: bool = False,
        accept_unproven: bool = False,
        canary_id: str = "",
        plan: bool = False,
        why: Sequence[str] = (),
    ) -> list[str]:
        """Make a version stable, by default the canary; refused unless one of its workers is ready.

        ReleaseError if its signature differs from the stable version's, unless `other_signature` is set, and if it is
        unproven, unless `accept_unproven` is set. With `canary_id` only that canary is promoted; it was checked when it
        started.
        """
        step = partial(transitions.promote, name=model, version=version)
        if canary_id:
            return self._move(
                "promote", model, version, transitions.require_canary(step, model, canary_id), plan=plan, why=why
            )
        if not other_signature:
            self._check_signature(model, version)
        if not accept_unproven:
            self._check_proven(model, version)
        return self._move("promote", model, version, step, plan=plan, why=why)

    def rollback(self, model: str, *, canary_id: str = "", plan: bool = False, why: Sequence[str] = ()) -> list[str]:
        """Remove the canary, or without one make the previous stable version stable again; `why` is recorded.

        With `canary_id` only that canary is removed. Removing a canary waits for nothing; TorchServe needn't even
        answer.
        """
        step = partial(transitions.roll_back, name=model)
        only_current = transitions.require_canary(step, model, canary_id) if canary_id else step
        return self._move("rollback", model, "", only_current, plan=plan, why=why)

    def scale(self, model: str, version: str, workers: int) -> None:
        """Change the number of workers and wait for them; a restart keeps it.

        ReleaseError for less than one worker, and for more than could help here. Workers that don't become ready are
        taken back.
        """
        most = WORKERS_PER_PROCESSOR * (os.cpu_count() or 1)
        if not 1 <= workers <= most:
            fix = f"onnxserve release retire {model} {version} removes a version" if workers < 1 else ""
            raise ReleaseError(f"workers must be 1 to {most} on this machine, got {workers}", fix=fix)
        before = self._find(model, version).min_workers
        self.management.scale(model, version, workers)
        try:
            self.management.wait(
                f"{workers} workers of {model} {version}",
                lambda: self._ready_workers(model, version) == workers,
                READY_S,
            )
        except BaseException:
            with contextlib.suppress(ServerError):
                self.management.scale(model, version, before)
            raise
        self._adopt_versions(model)
        self.role_store.move(partial(transitions.scale, name=model, version=version, workers=workers))
        self.history.record(model, "scale", version, [f"{workers} workers"])

    def retire(
        self, model: str, version: str, grace_s: float = GRACE_S, *, last: bool = False, plan: bool = False
    ) -> list[str]:
        """Take a version without a role out of the routes, wait until no request is pending, then remove it.

        With `last` a model's only version goes too, and with it the model. The archive is renamed to `….mar.retired`,
        so that the next start doesn't load it. ReleaseError before any change if the store can't be written.
        """
        archive = self.archive(model, version)
        check_removable(self.stores, archive.name)
        self._adopt_versions(model)
        if plan:
            transitions.retire(self.role_store.roles, model, version, last=last)
            return [f"{model} {version}: removed"]
        self.role_store.move(lambda now: transitions.retire(now, model, version, last=last))
        self.management.wait(f"{model} {version} drained", lambda: self._idle(model, version), DRAIN_S)
        time.sleep(grace_s)
        self.management.wait(f"{model} {version} drained", lambda: self._idle(model, version), DRAIN_S)
        with store_lock(self.history.path.parent, LOCK_S):
            self.management.unregister(model, version)
            withdraw(self.stores, archive.name)
        self.history.record(model, "retire", version)
        return [f"{model} {version}: removed"]

    def _move(
        self,
        action: str,
        model: str,
        version: str,
        step: Callable[[Roles], Roles],
        *,
        plan: bool = False,
        why: Sequence[str] = (),
    ) -> list[str]:
        if not self._lowers(step, model):
            self._adopt_versions(model)
        before = self.role_store.roles
        if plan:
            return transitions.describe_changes(before, step(before))
        if self.accepted is not None:
            step = transitions.require_changes(step, self.accepted)
        after = self.role_store.move(step, before=lambda roles: self._prepare(before, roles, model))
        changes = transitions.describe_changes(before, after)
        self.history.record(model, action, version, [*changes, *why])
        self._follow(before, after, model)
        return changes

    def _lowers(self, step: Callable[[Roles], Roles], name: str) -> bool:
        """Return whether a step gives no version more traffic; such a step doesn't ask TorchServe, which may hang."""
        roles = self.role_store.roles
        try:
            return name in roles.models and not transitions.gaining_traffic(roles, step(roles), name)
        except ReleaseError:
            return False  # the recorded versions may be out of date

    def _check_signature(self, name: str, version: str) -> None:
        """Raise ReleaseError if the version, by default the canary, has another signature than the stable one."""
        model = transitions.model_of(self._current_roles(name), name)
        version = version or (model.canary.version if model.canary else "")
        if version in model.versions and version != model.stable:
            check_same_signature(name, self.archive(name, model.stable), self.archive(name, version))

    def _check_proven(self, name: str, version: str) -> None:
        """Raise ReleaseError if the version, by default the canary, is unproven and isn't stable already."""
        model = transitions.model_of(self._current_roles(name), name)
        version = version or (model.canary.version if model.canary else "")
        if version in model.versions and version != model.stable:
            check_proven(name, version, self.archive(name, version))

    def _prepare(self, before: Roles, after: Roles, name: str) -> None:
        """Raise ReleaseError unless every version that gets more traffic has a ready worker."""
        for version in transitions.gaining_traffic(before, after, name):
            if not self._find(name, version).ready:
                raise ReleaseError(
                    f"{name} {version} is not ready", fix=f"wait for its workers: onnxserve release status {name}"
                )

    def _follow(self, before: Roles, after: Roles, name: str) -> None:
        """Make the stable version TorchServe's default too; if it doesn't answer now, the next start does so."""
        model, old = after.models[name], before.models.get(name)
        if old and old.stable != model.stable:
            with contextlib.suppress(ServerError):
                self.management.set_default(name, model.stable)
