"""TorchServe as a supervised service: it loads versions with traffic first, the others after those are ready."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

from onnxserve.archive import configured_keys
from onnxserve.errors import OnnxserveError, ServerError
from onnxserve.torchserve import Management, Server, Settings, start_server
from onnxserve.torchserve.warmup import sign_model, warm_up
from onnxserve_handlers.trust.signing import KEY

from .background_loader import BackgroundLoader
from .events import Events
from .probes import torchserve_probes
from .readiness import Version, join_versions, wait_ready
from .service import Probe, Running, Service
from .store import stored_archives
from .worker_recovery import WorkerRecovery

READY_S = 180.0
NAME = "torchserve"


@dataclass
class TorchServe:
    """Starts TorchServe, each time in the same way.

    `served_versions` returns the versions with traffic; if that is empty, because none is known, all archives of the
    store are loaded and waited for. `restore` is called after each start, when those versions are ready, and again when
    the others are registered, since TorchServe forgets defaults and numbers of workers.
    """

    settings: Settings
    events: Events
    served_versions: Callable[[], Collection[Version]]
    restore: Callable[[], object]
    variables: Mapping[str, str]
    timeout_s: float = READY_S
    warm_s: float = 0.0  # seconds of load on the frontend at the first start; at later starts clients already wait
    _served_before: bool = False

    def service(self) -> Service:
        """Return the service for a supervisor."""
        management = Management(self.settings.management, timeout_s=5.0)
        recovery = WorkerRecovery(management, self.served_versions, self.events)
        probes = torchserve_probes(self.settings.inference, management, self.probed_versions)
        return Service(NAME, self.start, self.ready, (*probes, Probe("workers", recovery.tick, every_s=5.0)))

    def start(self) -> Server:
        """Start TorchServe with the archives of the versions that have traffic."""
        files = {archive.version: archive.path.name for archive in stored_archives(self.settings.store)}
        served_versions = sorted(self.served_versions())
        if missing := [version for version in served_versions if version not in files]:
            self._handle_failure(
                ServerError(f"the store has no archive of {join_versions(missing)}", where=str(self.settings.store))
            )
        archives = [files[version] for version in served_versions if version in files]
        return start_server(self.settings, {**self.variables, **self._warm_up_key()}, archives)

    def ready(self, running: Running) -> None:
        """Wait for the versions with traffic, restore, then load the others in the background.

        ServerError if none of them can be loaded at the first start.
        """
        assert isinstance(running, Server)  # noqa: S101 - `start` made it
        served_versions, management = set(self.served_versions()), Management(self.settings.management)
        failed = wait_ready(running, management, served_versions, self.timeout_s)
        if failed and not self._served_before and set(failed) >= served_versions:
            raise ServerError(f"{join_versions(failed)} can't be loaded" + running.reason(), where=str(running.log))
        if failed:
            self.events.record(NAME, "refused", join_versions(failed) + running.reason())
        if self.warm_s and not self._served_before:
            self._warm_up()
        self._restore()
        self._served_before = True
        if served_versions:
            patient = Management(self.settings.management, timeout_s=self.timeout_s)
            BackgroundLoader(self.settings, self.events, patient, self._restore).begin(running, served_versions)

    def _warm_up_key(self) -> dict[str, str]:
        """Return the variable with a key for the warm-up model, if archives must be signed; else nothing."""
        keys = configured_keys()
        if not keys or not self.warm_s or self._served_before:
            return {}
        try:
            # The variable is passed on unchanged: a folder in it means the keys that it holds when a worker starts.
            return {KEY: os.pathsep.join([os.environ[KEY], str(sign_model(self.settings))])}
        except (OnnxserveError, OSError) as error:
            self.events.record(NAME, "failed", f"warm-up: {error}")
            return {}

    def _restore(self) -> None:
        """Restore defaults and numbers of workers of the versions that are registered now."""
        try:
            self.restore()
        except OnnxserveError as error:
            self._handle_failure(error)

    def _warm_up(self) -> None:
        """Warm up the frontend; a failure is only recorded, since a cold server can serve too."""
        try:
            warm_up(self.settings, self.warm_s)
        except ServerError as error:
            self.events.record(NAME, "failed", f"warm-up: {error.what}")

    def _handle_failure(self, error: OnnxserveError) -> None:
        """Raise the error at the first start; later only record it, so that other versions go on serving."""
        if not self._served_before:
            raise error
        self.events.record(NAME, "failed", error.what)

    def probed_versions(self) -> Collection[Version]:
        """Return the versions with traffic whose archives our exporter made, so that they answer a probe."""
        served_versions = self.served_versions()
        ours = {archive.version for archive in stored_archives(self.settings.store) if archive.ours}
        return {version for version in served_versions if version in ours}
