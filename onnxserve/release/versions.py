"""Which versions a server has, what part each has in the traffic, and what of it a restart brings back."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from onnxserve.archive import Stores, file_digest
from onnxserve.errors import GatewayError, ReleaseError, ServerError
from onnxserve.gateway import Roles, RoleStore
from onnxserve.torchserve import Management, ModelVersion
from onnxserve.torchserve.model_version import version_key

from . import transitions
from .history import History
from .registration import archive_of, stored_versions


@dataclass(frozen=True)
class VersionStatus:
    """One line of `onnxserve release status`; `role` is its part in the traffic, `pending_limit` how many may wait."""

    model: str
    version: str
    role: str
    default: bool
    ready: bool
    workers: int
    pending: int
    pending_limit: int
    archive: str


class Versions:
    """Versions of one server, by TorchServe, the store and the recorded roles."""

    def __init__(
        self,
        management: Management,
        history: History,
        store: Path | Stores,
        role_store: RoleStore,
        defaults: Mapping[str, str] = {},
    ) -> None:
        self.management = management
        self.history = history
        self.stores = store if isinstance(store, Stores) else Stores(store, store)
        self.store = self.stores.served
        self.role_store = role_store
        self._defaults = defaults  # the version of a model that serves while nothing else was decided

    def status(self, model: str | None = None) -> list[VersionStatus]:
        """Every version of one or all models."""
        roles, found = self.role_store.roles, []
        for name in [model] if model else self.management.models():
            default = self.management.default(name)
            for one in self.management.versions(name):
                running = sum(worker.status == "READY" for worker in one.workers)
                role, queue = transitions.role_of(roles, name, one.model_version), one.job_queue_status
                row = (name, one.model_version, role, one.model_version == default, one.ready, running)
                found.append(VersionStatus(*row, queue.pending_requests, queue.limit, one.model_url))
        return found

    def take_up(self) -> list[str]:
        """Before a start: roles for the archives of the store, nothing promoted; what was decided anew, in words."""
        said = []
        try:
            before = self.role_store.roles
        except GatewayError as error:
            kept = self.role_store.set_aside()
            said, before = [f"{error.what}; it is kept as {kept.name}"], Roles()
        versions = stored_versions(self.store)
        after = self.role_store.move(lambda now: self._restored(now, versions))
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
        shares = [(name, model.stable) for name, model in self.role_store.roles.models.items()]
        canaries = ((name, model.canary) for name, model in self.role_store.roles.models.items())
        return {*shares, *((name, share.version) for name, share in canaries if share and share.percent > 0)}

    def restore(self) -> list[tuple[str, str]]:
        """After a restart: roles lose what is gone, TorchServe's defaults and workers follow; defaults that changed.

        Archives of the store that TorchServe has not loaded yet are not gone.
        """
        versions = stored_versions(self.store)
        for name in self.management.models():
            versions[name] = self._digests(name)
        roles = self.role_store.move(lambda now: self._restored(now, versions))
        wanted = [(name, model.stable) for name, model in roles.models.items()]
        registered = self.management.models()
        changed = [
            (name, version)
            for name, version in wanted
            if name in registered and version in self._versions(name) and self.management.default(name) != version
        ]
        for name, version in changed:
            self.management.set_default(name, version)
        self._scale_again(roles, registered)
        return changed

    def _scale_again(self, roles: Roles, registered: Collection[str]) -> None:
        """Archives say how many workers TorchServe starts; where others were asked for, ask again and don't wait."""
        for name in roles.models.keys() & set(registered):
            workers = roles.models[name].workers
            for state in self.management.versions(name) if workers else ():
                wanted = workers.get(state.model_version, state.min_workers)
                if wanted != state.min_workers:
                    self.management.scale(name, state.model_version, wanted)

    def _restored(self, now: Roles, versions: Mapping[str, dict[str, str]]) -> Roles:
        roles = Roles()
        for name, digests in versions.items():
            model = transitions.restored(now, name, digests, self._defaults.get(name, "")).models[name]
            roles = transitions.changed(roles, name, model)
        return roles

    def _met(self, name: str) -> Roles:
        self._meet(name)
        return self.role_store.roles

    def _meet(self, name: str) -> None:
        """Take up versions that came or went without us, by TorchServe's own API or a plain start.

        A server that doesn't answer holds up nothing: what then needs it says so.
        """
        try:
            versions = self._digests(name)
        except ServerError:
            if name in self.role_store.roles.models:
                return
            raise
        model = self.role_store.roles.models.get(name)
        if model is None or set(model.versions) != set(versions):
            self.role_store.move(lambda now: transitions.restored(now, name, versions, self._defaults.get(name, "")))

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
