"""Archives without traffic: loaded beside those that have some, and tried again when that failed."""

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
    """Registers what the store has beside the versions with traffic; `restore` follows when something was.

    What can't be registered is reported with the reason, and tried again after pauses that double, as long as this
    TorchServe runs. Workers that can't load what was registered are `WorkerRecovery`'s.
    """

    settings: Settings
    events: Events
    management: Management
    restore: Callable[[], object]
    backoff: Backoff = field(default_factory=lambda: Backoff(FIRST_S, MOST_S))

    def begin(self, running: Running, served: Collection[Version]) -> None:
        """In a thread of its own, which ends when all are registered or `running` has ended."""
        threading.Thread(target=self.load, args=(running, frozenset(served)), name="unserved", daemon=True).start()

    def load(self, running: Running, served: Collection[Version]) -> None:
        """The same, and return then."""
        reported: dict[str, str] = {}
        while running.alive():
            archives = [archive for archive in stored_archives(self.settings.store) if archive.version not in served]
            failed = self._register_missing(archives)
            # Files that are no archives: no other try would make them any.
            again = failed.keys() - {archive.path.name for archive in archives if archive.version is None}
            pause_s = self.backoff.delay(0) if again else 0.0
            for file, reason in failed.items():
                if reported.get(file) != reason:
                    more = f"; tried again in {pause_s:g} s" if file in again else ""
                    self.events.record(NAME, "refused", f"{file}, which has no traffic: {reason}{more}")
            reported = failed
            if not again:
                return
            self._wait(running, pause_s)

    def _register_missing(self, archives: Sequence[StoredArchive]) -> dict[str, str]:
        """Reasons by file of what could not be registered."""
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
        """Whether it had to be."""
        if archive.version is None:
            raise ServerError("it is no archive")
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
