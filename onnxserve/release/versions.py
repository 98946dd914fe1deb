"""The versions of a server: their status, their roles, and how a restart restores them."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from onnxserve.archive import Stores, file_digest
from onnxserve.archive.evidence import read_proof_kind, read_why_no_profile
from onnxserve.errors import GatewayError, ReleaseError, ServerError
from onnxserve.gateway import Roles, RoleStore
from onnxserve.torchserve import Management, ModelVersion
from onnxserve.torchserve.model_version import version_key

from . import transitions
from .history import History
from .registration import archive_of, stored_versions


@dataclass(frozen=True)
class VersionStatus:
    """One line of `onnxserve release status`.

    `role` is empty for none; `pending` requests wait for a worker, of at most `pending_limit`. `proof` is what stands
    behind its answers: certified, parity or unproven; empty if its archive can't be read. `no_drift` is why its drift
    isn't judged, empty where it is.
    """

    model: str
    version: str
    role: str
    default: bool
    ready: bool
    workers: int
    pending: int
    pending_limit: int
    archive: str
    proof: str = ""
    no_drift: str = ""


class Versions:
    """The versions of one server, as TorchServe, the store and the recorded roles have them."""

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
        self.store = self.stores.server
        self.role_store = role_store
        self._defaults = defaults  # by model: the version that serves before any release step

    def archive(self, model: str, version: str) -> Path:
        """Return the path of a registered version's archive; ReleaseError if the version isn't registered."""
        return archive_of(self.store, self._find(model, version).model_url)

    def status(self, model: str | None = None) -> list[VersionStatus]:
        """Return the status of every version of one or all models."""
        roles, versions = self.role_store.roles, []
        for name in [model] if model else self.management.models():
            default = self.management.default(name)
            for state in self.management.versions(name):
                version, queue = state.model_version, state.job_queue_status
                role = transitions.role_of(roles, name, version)
                row = (name, version, role, version == default, state.ready, state.ready_workers)
                path = archive_of(self.store, state.model_url)
                known = (path.name, read_proof_kind(path), read_why_no_profile(path))
                versions.append(VersionStatus(*row, queue.pending_requests, queue.limit, *known))
        return versions

    def take_up(self) -> list[str]:
        """Before a start, give roles to the archives of the store and promote none; return a line about each change."""
        lines = []
        try:
            before = self.role_store.roles
        except GatewayError as error:
            kept = self.role_store.set_aside()
            lines, before = [f"{error.what}; it is kept as {kept.name}"], Roles()
        versions = stored_versions(self.store)
        after = self.role_store.move(lambda now: self._restore_roles(now, versions))
        for name, model in after.models.items():
            old = before.models.get(name)
            if (old is None or old.stable != model.stable) and len(model.versions) > 1:
                why = "as configured" if self._defaults.get(name) == model.stable else "the oldest"
                lines.append(
                    f"{name}: {model.stable} serves, {why if old is None else 'since ' + old.stable + ' is gone'}"
                )
        return lines

    def served_versions(self) -> set[tuple[str, str]]:
        """Return the models and versions that get requests which name no version."""
        shares = [(name, model.stable) for name, model in self.role_store.roles.models.items()]
        canaries = ((name, model.canary) for name, model in self.role_store.roles.models.items())
        return {*shares, *((name, share.version) for name, share in canaries if share and share.percent > 0)}

    def restore(self) -> list[tuple[str, str]]:
        """After a restart, drop missing versions from the roles, and set TorchServe's defaults and worker numbers.

        Returns the defaults that changed. Archives in the store that TorchServe hasn't loaded yet aren't missing.
        """
        versions = stored_versions(self.store)
        for name in self.management.models():
            versions[name] = self._digests(name)
        roles = self.role_store.move(lambda now: self._restore_roles(now, versions))
        defaults = [(name, model.stable) for name, model in roles.models.items()]
        registered = self.management.models()
        changed = [
            (name, version)
            for name, version in defaults
            if name in registered and version in self._versions(name) and self.management.default(name) != version
        ]
        for name, version in changed:
            self.management.set_default(name, version)
        self._scale_again(roles, registered)
        return changed

    def _scale_again(self, roles: Roles, registered: Collection[str]) -> None:
        """Ask again for recorded numbers of workers that differ from those in the archives; don't wait for them."""
        for name in roles.models.keys() & set(registered):
            workers = roles.models[name].workers
            for state in self.management.versions(name) if workers else ():
                count = workers.get(state.model_version, state.min_workers)
                if count != state.min_workers:
                    self.management.scale(name, state.model_version, count)

    def _restore_roles(self, now: Roles, versions: Mapping[str, dict[str, str]]) -> Roles:
        roles = Roles()
        for name, digests in versions.items():
            model = transitions.restore(now, name, digests, self._defaults.get(name, "")).models[name]
            roles = transitions.with_model(roles, name, model)
        return roles

    def _current_roles(self, name: str) -> Roles:
        self._adopt_versions(name)
        return self.role_store.roles

    def _adopt_versions(self, name: str) -> None:
        """Record versions that came or went by TorchServe's own API or a plain start.

        A server that doesn't answer is no error here; a step that needs it reports that.
        """
        try:
            versions = self._digests(name)
        except ServerError:
            if name in self.role_store.roles.models:
                return
            raise
        model = self.role_store.roles.models.get(name)
        if model is None or set(model.versions) != set(versions):
            self.role_store.move(lambda now: transitions.restore(now, name, versions, self._defaults.get(name, "")))

    def _versions(self, name: str) -> list[str]:
        """Return the registered versions; none for a model that TorchServe doesn't know."""
        if name not in self.management.models():
            return []
        return [version.model_version for version in self.management.versions(name)]

    def _digests(self, name: str) -> dict[str, str]:
        """Return the versions, oldest first, with the digests of their archives, or of their URLs without a file.

        Versions in the store that a server which just started hasn't loaded yet are among them.
        """
        digests = stored_versions(self.store).get(name, {})
        for state in self.management.versions(name):
            path, url = archive_of(self.store, state.model_url), state.model_url
            if state.model_version not in digests:
                digest = file_digest(path) if path.is_file() else hashlib.sha256(url.encode()).hexdigest()
                digests[state.model_version] = digest
        return dict(sorted(digests.items(), key=lambda pair: version_key(pair[0])))

    def _find(self, model: str, version: str) -> ModelVersion:
        versions = self.management.versions(model)
        for state in versions:
            if state.model_version == version:
                return state
        known = ", ".join(state.model_version for state in versions)
        raise ReleaseError(f"{model} has no version {version}", fix=f"registered: {known}")

    def _ready_workers(self, model: str, version: str) -> int:
        return self._find(model, version).ready_workers

    def _idle(self, model: str, version: str) -> bool:
        return self._find(model, version).job_queue_status.pending_requests == 0
