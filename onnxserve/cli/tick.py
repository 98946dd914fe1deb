"""What a running server looks after once a second."""

from __future__ import annotations

from onnxserve.config import Settings
from onnxserve.gateway import Traffic, read_config
from onnxserve.gateway.processes import RunningGateway
from onnxserve.release import Pilot, Release
from onnxserve.supervisor import Events, LogLimits, LogWriter, Rotation
from onnxserve.supervisor.events import FILE

MEGABYTE = 2**20
TORCHSERVE_LOG = "torchserve.log"


class Tick:
    """Roles that the gateway must have in force, canaries, certificates that were replaced, logs that grew."""

    def __init__(self, settings: Settings, release: Release, events: Events) -> None:
        self.events = events
        self.gateway: RunningGateway | None = None
        self._settings = settings
        self._traffic: Traffic = release.traffic
        self._pilot = Pilot(release, settings.state)
        limits = read_config(settings.traffic).logs
        sizes = LogLimits(round(limits.megabytes * MEGABYTE), limits.files, limits.days)
        self._rotation = Rotation(self._writers, sizes)
        self._said: list[str] = []

    def __call__(self) -> None:
        """Once; what fails is tried again the next time."""
        self._rotation.tick()
        if self.gateway is None:
            return
        if self.gateway.refresh():
            self.events.record("gateway", "read replaced certificates or keys of tokens")
        if self._traffic.reconcile():
            self.events.record("gateway", "was given the roles again")
        said = self._pilot.tick()
        if said and said != self._said:  # what is tried again and again is told once
            for line in said:
                self.events.record("release", line)
        self._said = said

    def _writers(self) -> list[LogWriter]:
        state, run = self._settings.state, self._settings.run
        writers = [LogWriter((state / TORCHSERVE_LOG, state / FILE))]
        if self.gateway is not None:
            writers.append(LogWriter((run / "access.log", run / "nginx.log"), self.gateway.reopen_logs))
        return writers
