"""Recovery of workers that TorchServe has given up.

TorchServe restarts a dead worker for `maxRetryTimeoutInSec`, then never again, while requests wait.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Collection

import psutil

from onnxserve.errors import ServerError
from onnxserve.torchserve import Management, ModelVersion

from .events import Events
from .readiness import Version, waiting_versions

# TorchServe's pauses between restarts grow to about 50 s.
FIRST_S = 60.0
MOST_S = 600.0
SERVICE = "torchserve"


class WorkerRecovery:
    """Gives a registered version new workers when all its workers have been dead for longer than TorchServe waits.

    A version without traffic is recovered too, since it may get traffic later. A version whose archive asks for no
    worker gets one only if it has traffic.
    """

    def __init__(
        self,
        management: Management,
        served_versions: Callable[[], Collection[Version]],
        events: Events,
        clock: Callable[[], float] = time.monotonic,
        runs: Callable[[int], bool] = psutil.pid_exists,
    ) -> None:
        self._management, self._served_versions, self._events = management, served_versions, events
        self._clock, self._runs = clock, runs
        self._dead_since: dict[Version, float] = {}
        self._patience: dict[Version, float] = {}
        self._restarts: dict[Version, int] = {}  # by version just scaled to 0: the number of workers to start

    def tick(self) -> None:
        """Check all versions once; do nothing if TorchServe doesn't answer."""
        with contextlib.suppress(ServerError):
            served_versions = self._served_versions()
            waiting = waiting_versions(self._management, ())
            for version, state in waiting.items():
                if state is not None and (state.min_workers or version in {*served_versions, *self._restarts}):
                    self._check(version, state)
            self._forget(waiting)

    def _check(self, version: Version, state: ModelVersion) -> None:
        if version in self._restarts:
            if not state.workers:
                self._management.scale(*version, self._restarts.pop(version))
        elif any(self._runs(worker.pid) for worker in state.workers if worker.pid > 0):
            self._dead_since.pop(version, None)
        elif self._clock() - self._dead_since.setdefault(version, self._clock()) > self._patience.get(version, FIRST_S):
            self._recover(version, max(1, state.min_workers))

    def _recover(self, version: Version, workers: int) -> None:
        """Scale to 0, since TorchServe counts dead workers as running. The next tick starts new ones."""
        self._events.record(SERVICE, "gave up", f"the workers of {version[0]} {version[1]}; new ones are started")
        self._management.scale(*version, 0)
        self._restarts[version] = workers
        self._dead_since.pop(version)
        self._patience[version] = min(MOST_S, 2 * self._patience.get(version, FIRST_S))

    def _forget(self, waiting: Collection[Version]) -> None:
        """Drop the state of versions that are ready."""
        for state in (self._dead_since, self._patience, self._restarts):
            for version in state.keys() - set(waiting):
                state.pop(version)
