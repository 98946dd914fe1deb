"""TorchServe as a service: versions with traffic first, the others when those are ready."""

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
from .readiness import Version, named, wait_ready
from .service import Probe, Running, Service
from .store import stored_archives
from .worker_recovery import WorkerRecovery

READY_S = 180.0
NAME = "torchserve"


@dataclass
class TorchServe:
    """What is started again and again, and always the same way.

    `served` says which versions have traffic now; empty, when nobody knows, all of the store are loaded and waited for.
    `restore` is called after each start, when those are ready, and when the others are registered: TorchServe forgets
    defaults and numbers of workers.
    """

    settings: Settings
    events: Events
    served: Callable[[], Collection[Version]]
    restore: Callable[[], object]
    variables: Mapping[str, str]
    timeout_s: float = READY_S
    warm_s: float = 0.0  # seconds of load on the frontend at the first start; later, clients wait already
    _served_before: bool = False

    def service(self) -> Service:
        """For a supervisor."""
        management = Management(self.settings.management, timeout_s=5.0)
        recovery = WorkerRecovery(management, self.served, self.events)
        probes = torchserve_probes(self.settings.inference, management, self.described)
        return Service(NAME, self.start, self.ready, (*probes, Probe("workers", recovery.tick, every_s=5.0)))

    def start(self) -> Server:
        """Begin with the archives of the versions that have traffic."""
        files = {archive.version: archive.path.name for archive in stored_archives(self.settings.store)}
        served = sorted(self.served())
        if missing := [version for version in served if version not in files]:
            self._failed(ServerError(f"the store has no archive of {named(missing)}", where=str(self.settings.store)))
        archives = [files[version] for version in served if version in files]
        return start_server(self.settings, {**self.variables, **self._warm_up_key()}, archives)

    def ready(self, running: Running) -> None:
        """Wait for those, restore, then let TorchServe load the others beside."""
        assert isinstance(running, Server)  # noqa: S101 - `start` made it
        served, management = set(self.served()), Management(self.settings.management)
        failed = wait_ready(running, management, served, self.timeout_s)
        if failed and not self._served_before and set(failed) >= served:
            raise ServerError(f"{named(failed)} can't be loaded" + running.reason(), where=str(running.log))
        if failed:
            self.events.record(NAME, "refused", named(failed) + running.reason())
        if self.warm_s and not self._served_before:
            self._warm_up()
        self._restore()
        self._served_before = True
        if served:
            patient = Management(self.settings.management, timeout_s=self.timeout_s)
            BackgroundLoader(self.settings, self.events, patient, self._restore).begin(running, served)

    def _warm_up_key(self) -> dict[str, str]:
        """Where archives must be signed, so must be the model that is loaded to warm up."""
        keys = configured_keys()
        if not keys or not self.warm_s or self._served_before:
            return {}
        try:
            # As it is: a folder stands for the keys that lie there when a worker starts.
            return {KEY: os.pathsep.join([os.environ[KEY], str(sign_model(self.settings))])}
        except (OnnxserveError, OSError) as error:
            self.events.record(NAME, "failed", f"warm-up: {error}")
            return {}

    def _restore(self) -> None:
        """Defaults and numbers of workers, of the versions that are registered by now."""
        try:
            self.restore()
        except OnnxserveError as error:
            self._failed(error)

    def _warm_up(self) -> None:
        """A server that isn't warm serves too; one that has gone is noticed by whoever asks it next."""
        try:
            warm_up(self.settings, self.warm_s)
        except ServerError as error:
            self.events.record(NAME, "failed", f"warm-up: {error.what}")

    def _failed(self, error: OnnxserveError) -> None:
        """What ends the first start must not keep other versions from serving later."""
        if not self._served_before:
            raise error
        self.events.record(NAME, "failed", error.what)

    def described(self) -> Collection[Version]:
        """Versions with traffic that answer a probe, by who made their archives."""
        served = self.served()
        ours = {archive.version for archive in stored_archives(self.settings.store) if archive.ours}
        return {version for version in served if version in ours}
