"""The release steps on one server. Each refuses what would lose requests, and is recorded."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from onnxserve.archive import check_archive, configured_key, enter_store, file_digest, summarise
from onnxserve.edge import Canary, Labels, Share, Traffic
from onnxserve.errors import ReleaseError
from onnxserve.management import Management, ModelVersion

from . import moves
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

    def __init__(self, management: Management, history: History, store: Path, traffic: Traffic) -> None:
        self.management = management
        self.history = history
        self.store = store
        self.traffic = traffic

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
        """Check an archive, put it into the store, load it beside the others; its version."""
        checked = check_archive(archive, configured_key())
        target = self.store / archive.name
        if not target.is_file():
            enter_store(archive, self.store)
        elif summarise(target).sha256 != checked.sha256:
            raise ReleaseError(
                f"the store has another {archive.name}", where=str(target), fix="a version never changes: raise it"
            )
        name, version = checked.name, checked.version
        self.management.register(archive.name)
        self.management.wait_ready(name, version, READY_S)
        self._move("register", name, version, lambda now: moves.registered(now, name, version, checked.sha256))
        return version

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
        """Make a version stable, the canary by default; refused unless all its workers are ready."""
        step = partial(moves.promoted, name=model, version=version)
        return self._move("promote", model, version, step, plan=plan, why=why)

    def rollback(self, model: str, *, plan: bool = False, why: Sequence[str] = ()) -> list[str]:
        """Take the canary away, or go back to the stable version before; `why` is recorded with it."""
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

        Its archive stays in the store as `….mar.retired`, or the next start would load it again.
        """
        archive = self.store / self._find(model, version).model_url
        self._meet(model)
        if plan:
            moves.retired(self.traffic.labels, model, version)
            return [f"{model} {version}: removed"]
        self.traffic.move(lambda now: moves.retired(now, model, version))
        self.management.wait(f"{model} {version} drained", lambda: self._idle(model, version), DRAIN_S)
        time.sleep(grace_s)
        self.management.wait(f"{model} {version} drained", lambda: self._idle(model, version), DRAIN_S)
        self.management.unregister(model, version)
        if archive.is_file():
            archive.rename(archive.with_name(f"{archive.name}.retired"))
        self.history.record(model, "retire", version)
        return [f"{model} {version}: removed"]

    def restore(self) -> list[tuple[str, str]]:
        """After a restart: labels lose what is gone, TorchServe's defaults follow; (model, version) that changed."""
        found = {name: self._digests(name) for name in self.management.models()}

        def step(now: Labels) -> Labels:
            labels = Labels()
            for name, versions in found.items():
                one = moves.restored(now, name, versions).models[name]
                labels = moves.changed(labels, name, one)
            return labels

        labels = self.traffic.move(step)
        wanted = [(name, model.stable) for name, model in labels.models.items()]
        changed = [(name, version) for name, version in wanted if self.management.default(name) != version]
        for name, version in changed:
            self.management.set_default(name, version)
        return changed

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
        return changes

    def _meet(self, name: str) -> None:
        """Take up versions that came or went without us, by TorchServe's own API or a plain start."""
        versions = self._digests(name)
        one = self.traffic.labels.models.get(name)
        if one is None or set(one.versions) != set(versions):
            first = self.management.default(name)
            self.traffic.move(lambda now: moves.restored(now, name, versions, first))

    def _prepare(self, before: Labels, after: Labels, name: str) -> None:
        """Whoever is to get traffic must be ready; TorchServe's own default follows the stable version."""
        model, old = after.models[name], before.models.get(name)
        for version in {model.stable, *(one.version for one in (model.canary, model.shadow) if one)}:
            if not self._find(name, version).ready:
                raise ReleaseError(
                    f"{name} {version} is not ready", fix=f"wait for its workers: onnxserve release status {name}"
                )
        if old and old.stable != model.stable:
            self.management.set_default(name, model.stable)

    def _digests(self, name: str) -> dict[str, str]:
        """Versions, oldest first, with the digests of their archives; of their names where a file isn't ours."""
        found = {}
        for one in self.management.versions(name):
            path = self.store / one.model_url
            named = hashlib.sha256(one.model_url.encode()).hexdigest()
            found[one.model_version] = file_digest(path) if path.is_file() else named
        return found

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
