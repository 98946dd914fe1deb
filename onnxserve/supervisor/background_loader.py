"""Loads archives without traffic in the background, after those with traffic, and retries after failures."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field

from onnxserve.errors import ServerError
from onnxserve.torchserve import Management, Settings

from .backoff import Backoff
from .events import Events
from .readiness import Version
from .service import Running
from .store import StoredArchive, stored_archives

NAME = "torchserve"
FIRST_S, MOST_S = 5.0, 300.0
POLL_S = 0.5


@dataclass
class BackgroundLoader:
    """Registers the archives of the store that have no traffic, and calls `restore` when one was registered.

    An archive that can't be registered is reported with the reason and retried after pauses that double, as long as
    this TorchServe runs. `WorkerRecovery` takes care of workers that can't load a registered archive.
    """

    settings: Settings
    events: Events
    management: Management
    restore: Callable[[], object]
    backoff: Backoff = field(default_factory=lambda: Backoff(FIRST_S, MOST_S))

    def begin(self, running: Running, served_versions: Collection[Version]) -> None:
        """Call `load` in a thread."""
        threading.Thread(
            target=self.load, args=(running, frozenset(served_versions)), name="unserved", daemon=True
        ).start()

    def load(self, running: Running, served_versions: Collection[Version]) -> None:
        """Register the archives; return when all are registered or `running` has ended."""
        reported: dict[str, str] = {}
        while running.alive():
            archives = [
                archive for archive in stored_archives(self.settings.store) if archive.version not in served_versions
            ]
            failed = self._register_missing(archives)
            # A file that isn't an archive won't become one, so it isn't retried.
            retried = failed.keys() - {archive.path.name for archive in archives if archive.version is None}
            pause_s = self.backoff.delay(0) if retried else 0.0
            for file, reason in failed.items():
                if reported.get(file) != reason:
                    more = f"; retried in {pause_s:g} s" if file in retried else ""
                    self.events.record(NAME, "refused", f"{file}, which has no traffic: {reason}{more}")
            reported = failed
            if not retried:
                return
            self._wait(running, pause_s)

    def _register_missing(self, archives: Sequence[StoredArchive]) -> dict[str, str]:
        """Register missing archives; return the reasons of failures by file."""
        failed: dict[str, str] = {}
        registered = False
        for archive in archives:
            try:
                registered |= self._register(archive)
            except ServerError as error:
                failed[archive.path.name] = error.what
        if registered:
            self.restore()
        return failed

    def _register(self, archive: StoredArchive) -> bool:
        """Register an archive unless TorchServe has it; return whether it was registered."""
        if archive.version is None:
            raise ServerError("it isn't an archive")
        name, version = archive.version
        if name in self.management.models() and any(
            known.model_version == version for known in self.management.versions(name)
        ):
            return False
        self.management.register(archive.path.name)
        return True

    def _wait(self, running: Running, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while running.alive() and time.monotonic() < deadline:
            time.sleep(POLL_S)
