"""The release steps: register, default, scale, rollback, retire. Each refuses what would lose requests."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from onnxserve.archive import check_archive, configured_key, enter_store, summarise
from onnxserve.errors import ReleaseError
from onnxserve.management import Management, ModelVersion

from .history import History

READY_S = 180.0
DRAIN_S = 60.0
# After the queue is empty one batch may still run; it was taken before the default moved.
GRACE_S = 2.0


@dataclass(frozen=True)
class VersionStatus:
    """One line of `onnxserve release status`."""

    model: str
    version: str
    default: bool
    ready: bool
    workers: int
    pending: int
    archive: str


class Release:
    """Release steps on one server."""

    def __init__(self, management: Management, history: History, store: Path) -> None:
        self.management = management
        self.history = history
        self.store = store

    def status(self, model: str | None = None) -> list[VersionStatus]:
        """Every version of one or all models."""
        found = []
        for name in [model] if model else self.management.models():
            default = self.management.default(name)
            found += [
                VersionStatus(
                    name,
                    one.model_version,
                    one.model_version == default,
                    one.ready,
                    sum(worker.status == "READY" for worker in one.workers),
                    one.job_queue_status.pending_requests,
                    one.model_url,
                )
                for one in self.management.versions(name)
            ]
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
        self.management.register(archive.name)
        self.management.wait_ready(checked.name, checked.version, READY_S)
        self.history.record(checked.name, "register", checked.version)
        return checked.version

    def default(self, model: str, version: str, action: str = "default") -> str:
        """Let `version` answer; refused unless all its workers are ready. The previous default."""
        one = self._find(model, version)
        if not one.ready:
            raise ReleaseError(
                f"{model} {version} is not ready", fix="wait for its workers: onnxserve release status " + model
            )
        previous = self.management.default(model)
        if previous != version:
            self.management.set_default(model, version)
            self.history.record(model, action, version, previous)
        return previous

    def rollback(self, model: str) -> str:
        """Back to the default before this one; the version that answers now."""
        current = self.management.default(model)
        target = self.history.before(model, current)
        if target is None:
            raise ReleaseError(
                f"no earlier default of {model} is known",
                where=str(self.history.path),
                fix=f"name one: onnxserve release default {model} VERSION",
            )
        self.default(model, target, "rollback")
        return target

    def scale(self, model: str, version: str, workers: int) -> None:
        """Change the number of workers and wait for them."""
        if workers < 1:
            raise ReleaseError("at least 1 worker", fix=f"onnxserve release retire {model} {version} removes a version")
        self._find(model, version)
        self.management.scale(model, version, workers)
        self.management.wait(
            f"{workers} workers of {model} {version}", lambda: self._running(model, version) == workers, READY_S
        )
        self.history.record(model, f"scale {workers}", version)

    def retire(self, model: str, version: str, grace_s: float = GRACE_S) -> None:
        """Wait until nothing is pending for a version that is not the default, then remove it.

        Its archive stays in the store as `….mar.retired`, or the next start would load it again.
        """
        archive = self.store / self._find(model, version).model_url
        if self.management.default(model) == version:
            raise ReleaseError(
                f"{model} {version} is the default", fix=f"first: onnxserve release default {model} ANOTHER_VERSION"
            )
        self.management.wait(f"{model} {version} drained", lambda: self._idle(model, version), DRAIN_S)
        time.sleep(grace_s)
        self.management.wait(f"{model} {version} drained", lambda: self._idle(model, version), DRAIN_S)
        self.management.unregister(model, version)
        if archive.is_file():
            archive.rename(archive.with_name(f"{archive.name}.retired"))
        self.history.record(model, "retire", version)

    def restore(self) -> list[tuple[str, str]]:
        """After a restart: the recorded defaults, else the newest version, where TorchServe chose otherwise."""
        changed = []
        for name in self.management.models():
            versions = [one.model_version for one in self.management.versions(name)]
            wanted = self.history.last_default(name)
            target = wanted if wanted in versions else versions[-1]
            if target != self.management.default(name):
                self.management.set_default(name, target)
                changed.append((name, target))
        return changed

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
