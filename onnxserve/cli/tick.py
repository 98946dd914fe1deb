"""Upkeep of a running server, once a second."""

from __future__ import annotations

from onnxserve.gateway import RoleStore, read_config
from onnxserve.gateway.gateway import ACCESS_LOG, ERROR_LOG
from onnxserve.gateway.nginx_process import RunningGateway
from onnxserve.monitoring.observer import Observer
from onnxserve.release import ReleaseService
from onnxserve.release.brownout import Ladder, Pressures
from onnxserve.release.observations import NAME as OBSERVATIONS
from onnxserve.supervisor import Events, LogLimits, LogWriter, Rotation
from onnxserve.supervisor.events import FILE
from onnxserve.torchserve import Settings

MEGABYTE = 2**20
TORCHSERVE_LOG = "torchserve.log"


class Tick:
    """Keeps roles in force, steps canaries, reloads replaced certificates, rotates logs."""

    def __init__(self, settings: Settings, release: ReleaseService, events: Events, observer: Observer) -> None:
        from onnxserve.release.controller import Controller  # it imports numpy, which only a server needs

        self.events = events
        self.gateway: RunningGateway | None = None
        self._settings = settings
        self.role_store: RoleStore = release.role_store
        config = read_config(settings.gateway_file)
        pressures = Pressures(release.management.queues, observer.refusals, config.limits.concurrency)
        ladder = Ladder(pressures, keeps_answers=config.cache.seconds > 0 and config.brownout.seconds > 0)
        self._pilot = Controller(release, settings.state, ladder if config.brownout.ladder else None)
        sizes = LogLimits(round(config.logs.megabytes * MEGABYTE), config.logs.files, config.logs.days)
        self._rotation = Rotation(self._writers, sizes)
        self._last: list[str] = []

    def __call__(self) -> None:
        """Do all of it once; a failure is retried at the next tick and doesn't keep logs from being rotated."""
        try:
            if self.gateway is not None:
                self._tend(self.gateway)
        finally:
            self._rotation.tick()

    def _tend(self, gateway: RunningGateway) -> None:
        if gateway.refresh():
            self.events.record("gateway", "read replaced certificates or keys of tokens")
        if gateway.recount():
            self.events.record("gateway", "lost a worker process", "it counts requests under way anew")
        if gateway.spare_disk():
            what = "keeps no answers" if gateway.disk_full else "keeps answers again"
            self.events.record("gateway", what, "its disk is nearly full" if gateway.disk_full else "")
        for line in self.role_store.reconcile():
            self.events.record("roles", line)
        lines = self._pilot.tick()
        if lines and lines != self._last:  # a step that is retried again and again is recorded once
            for line in lines:
                self.events.record("release", line)
        self._last = lines

    def _writers(self) -> list[LogWriter]:
        state, run = self._settings.state, self._settings.run
        writers = [LogWriter((state / TORCHSERVE_LOG, state / FILE, *state.glob("features/*/server.log")))]
        if self.gateway is not None:
            logs = tuple(run / name for name in (ACCESS_LOG, OBSERVATIONS, ERROR_LOG))
            writers.append(LogWriter(logs, self.gateway.reopen_logs))
        return writers
