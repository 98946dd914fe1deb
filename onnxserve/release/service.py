"""The release steps on one server. Each refuses what would lose requests, and is recorded."""

from __future__ import annotations

import contextlib
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
from .controller_lock import check_judged
from .loading import LOG, ServerLog, is_loaded
from .registration import archive_of, check_removable, entering, leave, stored_versions
from .store_lock import store_lock
from .versions import Versions

READY_S = 180.0
DRAIN_S = 60.0
LOCK_S = READY_S + 20.0  # another archive may be loaded meanwhile
# After the queue is empty one batch may still run; it was taken before the roles moved.
GRACE_S = 2.0
# On a GPU several workers share a processor; more than these only take memory.
WORKERS_PER_PROCESSOR = 8


class ReleaseService(Versions):
    """Release steps on one server."""

    def register(self, archive: Path) -> str:
        """Check an archive, load it beside the others, and put it into the store once a worker is proven; its version.

        Whatever fails leaves server and store as they were. One archive at a time: another one waits.
        """
        with store_lock(self.history.path.parent, LOCK_S), entering(archive, self.stores) as entered:
            checked, name, version = entered.checked, entered.checked.name, entered.checked.version
            if version not in self._versions(name):
                self._load(entered.file, name, version)
            elif version not in stored_versions(self.store).get(name, {}):
                what = f"the server has {name} {version} from elsewhere, which was never checked"
                raise ReleaseError(what, fix=f"onnxserve release retire {name} {version}")
        self._move("register", name, version, lambda now: transitions.registered(now, name, version, checked.sha256))
        return version

    def _load(self, file: str, name: str, version: str) -> None:
        log = ServerLog(self.history.path.with_name(LOG))
        try:
            self.management.register(file)
            loaded = partial(is_loaded, self.management, log, name, version)
            self.management.wait(f"{name} {version} ready", loaded, READY_S)
        except BaseException:
            with contextlib.suppress(ServerError, ReleaseError):  # it may never have got there
                if self._find(name, version).model_url == file:  # or is somebody else's
                    self.management.unregister(name, version)
            raise

    def canary(
        self,
        model: str,
        share: Canary,
        *,
        other_signature: bool = False,
        plan: bool = False,
        why: Sequence[str] = (),
    ) -> list[str]:
        """Let a version answer a share of the requests; what changes, in words. `plan` only says it.

        A share without an id is another canary and gets one; with an id it is the next step of that canary, refused
        once that has ended. ReleaseError if the version has another signature than the stable one, unless that is asked
        for, and if nobody would judge an automatic canary.
        """
        if share.id:
            step = transitions.of_canary(partial(transitions.canary, name=model, share=share), model, share.id)
            return self._move("canary", model, share.version, step, plan=plan, why=why)
        if share.auto and not plan:
            check_judged(self.role_store, self.history.path.parent)
        if not other_signature:
            self._check_signature(model, share.version)
        share = msgspec.structs.replace(share, id=uuid.uuid4().hex)
        step = partial(transitions.canary, name=model, share=share)
        return self._move("canary", model, share.version, step, plan=plan, why=why)

    def shadow(self, model: str, share: Share | None, *, plan: bool = False) -> list[str]:
        """Send a version copies of a share of the requests; None ends it."""
        version = share.version if share else ""
        return self._move("shadow", model, version, lambda now: transitions.shadow(now, model, share), plan=plan)

    def smaller(self, model: str, version: str, *, other_signature: bool = False, plan: bool = False) -> list[str]:
        """Name a cheaper version for when the stable one is too busy; empty names none.

        ReleaseError if it has another signature than the stable version, whose clients it will answer, unless that is
        asked for.
        """
        if version and not other_signature:
            self._check_signature(model, version)
        step = partial(transitions.smaller, name=model, version=version)
        return self._move("smaller", model, version, step, plan=plan)

    def level(self, model: str, level: int, *, why: Sequence[str] = ()) -> list[str]:
        """Move a model on the brown-out ladder."""
        return self._move("brown-out", model, "", partial(transitions.levelled, name=model, level=level), why=why)

    def promote(
        self,
        model: str,
        version: str = "",
        *,
        other_signature: bool = False,
        canary_id: str = "",
        plan: bool = False,
        why: Sequence[str] = (),
    ) -> list[str]:
        """Make a version stable, the canary by default; refused unless a worker of it is proven.

        ReleaseError if it has another signature than the stable version, unless that is asked for. With `canary_id`
        only that canary is promoted, whose signature was looked at when it began.
        """
        step = partial(transitions.promoted, name=model, version=version)
        if canary_id:
            return self._move(
                "promote", model, version, transitions.of_canary(step, model, canary_id), plan=plan, why=why
            )
        if not other_signature:
            self._check_signature(model, version)
        return self._move("promote", model, version, step, plan=plan, why=why)

    def rollback(self, model: str, *, canary_id: str = "", plan: bool = False, why: Sequence[str] = ()) -> list[str]:
        """Take the canary away, or go back to the stable version before; `why` is recorded with it.

        With `canary_id` only that canary is taken away. It waits for nothing: TorchServe need not even answer while the
        canary is taken away.
        """
        step = partial(transitions.rolled_back, name=model)
        guarded = transitions.of_canary(step, model, canary_id) if canary_id else step
        return self._move("rollback", model, "", guarded, plan=plan, why=why)

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
                f"{workers} workers of {model} {version}", lambda: self._running(model, version) == workers, READY_S
            )
        except BaseException:
            with contextlib.suppress(ServerError):
                self.management.scale(model, version, before)
            raise
        self._meet(model)
        self.role_store.move(partial(transitions.scaled, name=model, version=version, workers=workers))
        self.history.record(model, "scale", version, [f"{workers} workers"])

    def retire(self, model: str, version: str, grace_s: float = GRACE_S, *, plan: bool = False) -> list[str]:
        """Take a version without a label out of the routes, wait until nothing is pending, then remove it.

        Its archive stays in the store as `….mar.retired`, or the next start would load it again. A store that can't be
        written is an error before anything else.
        """
        archive = archive_of(self.store, self._find(model, version).model_url)
        check_removable(self.stores, archive.name)
        self._meet(model)
        if plan:
            transitions.retired(self.role_store.roles, model, version)
            return [f"{model} {version}: removed"]
        self.role_store.move(lambda now: transitions.retired(now, model, version))
        self.management.wait(f"{model} {version} drained", lambda: self._idle(model, version), DRAIN_S)
        time.sleep(grace_s)
        self.management.wait(f"{model} {version} drained", lambda: self._idle(model, version), DRAIN_S)
        with store_lock(self.history.path.parent, LOCK_S):
            self.management.unregister(model, version)
            leave(self.stores, archive.name)
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
            self._meet(model)
        before = self.role_store.roles
        if plan:
            return transitions.difference(before, step(before))
        after = self.role_store.move(step, before=lambda roles: self._prepare(before, roles, model))
        changes = transitions.difference(before, after)
        self.history.record(model, action, version, [*changes, *why])
        self._follow(before, after, model)
        return changes

    def _lowers(self, step: Callable[[Roles], Roles], name: str) -> bool:
        """Whether a step gives no version more than it has; it then asks TorchServe nothing, which may hang."""
        roles = self.role_store.roles
        try:
            return name in roles.models and not transitions.beginning(roles, step(roles), name)
        except ReleaseError:
            return False  # what is recorded may be behind

    def _check_signature(self, name: str, version: str) -> None:
        """ReleaseError if clients of the stable version would be misunderstood by this one, the canary by default."""
        model = transitions.model_of(self._met(name), name)
        version = version or (model.canary.version if model.canary else "")
        if version in model.versions and version != model.stable:
            paths = (archive_of(self.store, self._find(name, one).model_url) for one in (model.stable, version))
            check_same_signature(name, *paths)

    def _prepare(self, before: Roles, after: Roles, name: str) -> None:
        """Whoever is to get more must have a worker that is proven."""
        for version in transitions.beginning(before, after, name):
            if not self._find(name, version).ready:
                raise ReleaseError(
                    f"{name} {version} is not ready", fix=f"wait for its workers: onnxserve release status {name}"
                )

    def _follow(self, before: Roles, after: Roles, name: str) -> None:
        """TorchServe's own default is the stable version too; if it doesn't answer now, the next start sees to it."""
        model, old = after.models[name], before.models.get(name)
        if old and old.stable != model.stable:
            with contextlib.suppress(ServerError):
                self.management.set_default(name, model.stable)
