"""The release steps on one server. Each refuses what would lose requests, and is recorded."""

from __future__ import annotations

import contextlib
import hashlib
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from onnxserve.archive import Stores, file_digest
from onnxserve.errors import EdgeError, ReleaseError, ServerError
from onnxserve.gateway import Canary, Labels, Share, Traffic
from onnxserve.management import Management, ModelVersion
from onnxserve.management.model import version_key

from . import moves
from .entering import archive_of, check_leaving, entering, leave, stored_versions
from .history import History

READY_S = 180.0
DRAIN_S = 60.0
# After the queue is empty one batch may still run; it was taken before the labels moved.
GRACE_S = 2.0


@dataclass(frozen=True)
class VersionStatus:
    """One line of `onnxserve release status`; `label` is its part in the traffic."""

    model: str
    version: str
    label: str
    default: bool
    ready: bool
    workers: int
    pending: int
    archive: str


class Release:
    """Release steps on one server."""

    def __init__(
        self,
        management: Management,
        history: History,
        store: Path | Stores,
        traffic: Traffic,
        defaults: Mapping[str, str] = {},
    ) -> None:
        self.management = management
        self.history = history
        self.stores = store if isinstance(store, Stores) else Stores(store, store)
        self.store = self.stores.served
        self.traffic = traffic
        self._defaults = defaults  # the version of a model that serves while nothing else was decided

    def status(self, model: str | None = None) -> list[VersionStatus]:
        """Every version of one or all models."""
        labels, found = self.traffic.labels, []
        for name in [model] if model else self.management.models():
            default = self.management.default(name)
            for one in self.management.versions(name):
                running = sum(worker.status == "READY" for worker in one.workers)
                label, pending = moves.label_of(labels, name, one.model_version), one.job_queue_status.pending_requests
                row = (name, one.model_version, label, one.model_version == default, one.ready)
                found.append(VersionStatus(*row, running, pending, one.model_url))
        return found

    def register(self, archive: Path) -> str:
        """Check an archive, load it beside the others, and put it into the store once a worker is proven; its version.

        Whatever fails leaves server and store as they were.
        """
        with entering(archive, self.stores) as entered:
            checked, name, version = entered.checked, entered.checked.name, entered.checked.version
            if version not in self._versions(name):
                self._load(entered.file, name, version)
            elif version not in stored_versions(self.store).get(name, {}):
                what = f"the server has {name} {version} from elsewhere, which was never checked"
                raise ReleaseError(what, fix=f"onnxserve release retire {name} {version}")
        self._move("register", name, version, lambda now: moves.registered(now, name, version, checked.sha256))
        return version

    def _load(self, file: str, name: str, version: str) -> None:
        try:
            self.management.register(file)
            self.management.wait_ready(name, version, READY_S)
        except BaseException:
            with contextlib.suppress(ServerError):  # it may never have got there
                self.management.unregister(name, version)
            raise

    def canary(self, model: str, share: Canary, *, plan: bool = False, why: Sequence[str] = ()) -> list[str]:
        """Let a version answer a share of the requests; what changes, in words. `plan` only says it."""
        step = partial(moves.canary, name=model, share=share)
        return self._move("canary", model, share.version, step, plan=plan, why=why)

    def shadow(self, model: str, share: Share | None, *, plan: bool = False) -> list[str]:
        """Send a version copies of a share of the requests; None ends it."""
        version = share.version if share else ""
        return self._move("shadow", model, version, lambda now: moves.shadow(now, model, share), plan=plan)

    def smaller(self, model: str, version: str, *, plan: bool = False) -> list[str]:
        """Name a cheaper version for when the stable one is too busy; empty names none."""
        step = partial(moves.smaller, name=model, version=version)
        return self._move("smaller", model, version, step, plan=plan)

    def level(self, model: str, level: int, *, why: Sequence[str] = ()) -> list[str]:
        """Move a model on the brown-out ladder."""
        return self._move("brown-out", model, "", partial(moves.levelled, name=model, level=level), why=why)

    def promote(self, model: str, version: str = "", *, plan: bool = False, why: Sequence[str] = ()) -> list[str]:
        """Make a version stable, the canary by default; refused unless a worker of it is proven."""
        step = partial(moves.promoted, name=model, version=version)
        return self._move("promote", model, version, step, plan=plan, why=why)

    def rollback(self, model: str, *, plan: bool = False, why: Sequence[str] = ()) -> list[str]:
        """Take the canary away, or go back to the stable version before; `why` is recorded with it.

        It waits for nothing: TorchServe need not even answer while the canary is taken away.
        """
        return self._move("rollback", model, "", partial(moves.rolled_back, name=model), plan=plan, why=why)

    def scale(self, model: str, version: str, workers: int) -> None:
        """Change the number of workers and wait for them."""
        if workers < 1:
            raise ReleaseError("at least 1 worker", fix=f"onnxserve release retire {model} {version} removes a version")
        self._find(model, version)
        self.management.scale(model, version, workers)
        self.management.wait(
            f"{workers} workers of {model} {version}", lambda: self._running(model, version) == workers, READY_S
        )
        self.history.record(model, "scale", version, [f"{workers} workers"])

    def retire(self, model: str, version: str, grace_s: float = GRACE_S, *, plan: bool = False) -> list[str]:
        """Take a version without a label out of the routes, wait until nothing is pending, then remove it.

        Its archive stays in the store as `….mar.retired`, or the next start would load it again. A store that can't be
        written is an error before anything else.
        """
        archive = archive_of(self.store, self._find(model, version).model_url)
        check_leaving(self.stores, archive.name)
        self._meet(model)
        if plan:
            moves.retired(self.traffic.labels, model, version)
            return [f"{model} {version}: removed"]
        self.traffic.move(lambda now: moves.retired(now, model, version))
        self.management.wait(f"{model} {version} drained", lambda: self._idle(model, version), DRAIN_S)
        time.sleep(grace_s)
        self.management.wait(f"{model} {version} drained", lambda: self._idle(model, version), DRAIN_S)
        self.management.unregister(model, version)
        leave(self.stores, archive.name)
        self.history.record(model, "retire", version)
        return [f"{model} {version}: removed"]

    def take_up(self) -> list[str]:
        """Before a start: labels for the archives of the store, nothing promoted; what was decided anew, in words."""
        said = []
        try:
            before = self.traffic.labels
        except EdgeError as error:
            kept = self.traffic.set_aside()
            said, before = [f"{error.what}; it is kept as {kept.name}"], Labels()
        versions = stored_versions(self.store)
        after = self.traffic.move(lambda now: self._restored(now, versions))
        for name, model in after.models.items():
            old = before.models.get(name)
            if (old is None or old.stable != model.stable) and len(model.versions) > 1:
                why = "as configured" if self._defaults.get(name) == model.stable else "the oldest"
                said.append(
                    f"{name}: {model.stable} serves, {why if old is None else 'since ' + old.stable + ' is gone'}"
                )
        return said

    def served(self) -> set[tuple[str, str]]:
        """Models and versions that get requests which name none."""
        shares = [(name, model.stable) for name, model in self.traffic.labels.models.items()]
        canaries = ((name, model.canary) for name, model in self.traffic.labels.models.items())
        return {*shares, *((name, share.version) for name, share in canaries if share and share.percent > 0)}

    def restore(self) -> list[tuple[str, str]]:
        """After a restart: labels lose what is gone, TorchServe's defaults follow; (model, version) that changed.

        Archives of the store that TorchServe has not loaded yet are not gone.
        """
        versions = stored_versions(self.store)
        for name in self.management.models():
            versions[name] = self._digests(name)
        labels = self.traffic.move(lambda now: self._restored(now, versions))
        wanted = [(name, model.stable) for name, model in labels.models.items()]
        registered = self.management.models()
        changed = [
            (name, version)
            for name, version in wanted
            if name in registered and version in self._versions(name) and self.management.default(name) != version
        ]
        for name, version in changed:
            self.management.set_default(name, version)
        return changed

    def _restored(self, now: Labels, versions: Mapping[str, dict[str, str]]) -> Labels:
        labels = Labels()
        for name, digests in versions.items():
            model = moves.restored(now, name, digests, self._defaults.get(name, "")).models[name]
            labels = moves.changed(labels, name, model)
        return labels

    def _move(
        self,
        action: str,
        model: str,
        version: str,
        step: Callable[[Labels], Labels],
        *,
        plan: bool = False,
        why: Sequence[str] = (),
    ) -> list[str]:
        self._meet(model)
        before = self.traffic.labels
        if plan:
            return moves.difference(before, step(before))
        after = self.traffic.move(step, before=lambda labels: self._prepare(before, labels, model))
        changes = moves.difference(before, after)
        self.history.record(model, action, version, [*changes, *why])
        self._follow(before, after, model)
        return changes

    def _meet(self, name: str) -> None:
        """Take up versions that came or went without us, by TorchServe's own API or a plain start.

        A server that doesn't answer holds up nothing: what then needs it says so.
        """
        try:
            versions = self._digests(name)
        except ServerError:
            if name in self.traffic.labels.models:
                return
            raise
        model = self.traffic.labels.models.get(name)
        if model is None or set(model.versions) != set(versions):
            self.traffic.move(lambda now: moves.restored(now, name, versions, self._defaults.get(name, "")))

    def _prepare(self, before: Labels, after: Labels, name: str) -> None:
        """Whoever is to get more must have a worker that is proven."""
        for version in moves.beginning(before, after, name):
            if not self._find(name, version).ready:
                raise ReleaseError(
                    f"{name} {version} is not ready", fix=f"wait for its workers: onnxserve release status {name}"
                )

    def _follow(self, before: Labels, after: Labels, name: str) -> None:
        """TorchServe's own default is the stable version too; if it doesn't answer now, the next start sees to it."""
        model, old = after.models[name], before.models.get(name)
        if old and old.stable != model.stable:
            with contextlib.suppress(ServerError):
                self.management.set_default(name, model.stable)

    def _versions(self, name: str) -> list[str]:
        """Registered versions; none of a model that TorchServe doesn't know."""
        if name not in self.management.models():
            return []
        return [version.model_version for version in self.management.versions(name)]

    def _digests(self, name: str) -> dict[str, str]:
        """Versions, oldest first, with the digests of their archives; of their names where a file isn't ours.

        Those of the store that a server which has just begun has not loaded yet are among them.
        """
        found = stored_versions(self.store).get(name, {})
        for one in self.management.versions(name):
            path = archive_of(self.store, one.model_url)
            named = hashlib.sha256(one.model_url.encode()).hexdigest()
            if one.model_version not in found:
                found[one.model_version] = file_digest(path) if path.is_file() else named
        return dict(sorted(found.items(), key=lambda pair: version_key(pair[0])))

    def _find(self, model: str, version: str) -> ModelVersion:
        versions = self.management.versions(model)
        for one in versions:
            if one.model_version == version:
                return one
        known = ", ".join(one.model_version for one in versions)
        raise ReleaseError(f"{model} has no version {version}", fix=f"registered: {known}")

    def _running(self, model: str, version: str) -> int:
        one = self._find(model, version)
        return sum(worker.status == "READY" for worker in one.workers) if one.ready else 0

    def _idle(self, model: str, version: str) -> bool:
        return self._find(model, version).job_queue_status.pending_requests == 0
