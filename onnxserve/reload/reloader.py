"""Puts an edited model in service: draft, load beside the others, move the traffic, retire the others."""

from __future__ import annotations

import threading
import time
from pathlib import Path

from onnxserve.archive import read_version
from onnxserve.errors import OnnxserveError
from onnxserve.release import ReleaseService
from onnxserve.supervisor import Events

from .draft_exporter import DraftExporter
from .watcher import FolderWatcher

NAME = "reload"
POLL_S = 0.5
REST = 9  # times as long as a look took: it takes a tenth of a processor at most, however many files there are
STOP_S = 30.0


class Reloader:
    """Watches folders in a thread. An edit that can't be exported or loaded is reported, and changes nothing."""

    def __init__(
        self,
        watcher: FolderWatcher,
        exporter: DraftExporter,
        release: ReleaseService,
        events: Events,
        poll_s: float = POLL_S,
    ) -> None:
        self._watcher, self._exporter, self._release, self._events = watcher, exporter, release, events
        self._poll_s = poll_s
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=NAME, daemon=True)

    def start(self) -> None:
        """Begin to watch."""
        self._thread.start()

    def stop(self) -> None:
        """End the export under way and the thread; a step that moves traffic is finished first."""
        self._stopping.set()
        self._exporter.stop()
        self._thread.join(STOP_S)

    def _run(self) -> None:
        pause_s = self._poll_s
        while not self._stopping.wait(pause_s):
            begun_s = time.monotonic()
            changed = self._watcher.changed()
            pause_s = max(self._poll_s, REST * (time.monotonic() - begun_s))
            for folder in changed:
                self._reload(folder)

    def _reload(self, folder: Path) -> None:
        begun_s = time.monotonic()
        self._events.record(NAME, "exporting", str(folder))
        try:
            name, version = self._put_in_service(self._exporter.export(folder))
        except Exception as error:  # noqa: BLE001 - whatever an edit breaks, the server goes on
            self._report(f"{folder}; what is served stays as it is", error)
        else:
            self._events.record(NAME, "serving", f"{name} {version} after {time.monotonic() - begun_s:.1f} s")
            self._retire_others(name, version)

    def _put_in_service(self, archive: Path) -> tuple[str, str]:
        """Load a draft beside the others and give it the traffic; return its model and version."""
        name, version = read_version(archive)
        try:
            self._release.register(archive)
        except BaseException:
            archive.unlink(missing_ok=True)
            raise
        self._release.promote(name, version, other_signature=True, accept_unproven=True)
        return name, version

    def _retire_others(self, name: str, version: str) -> None:
        """Unload the model's other versions: as the fallback, one of them would hide that the draft fails."""
        try:
            others = self._release.role_store.roles.models[name].versions.keys() - {version}
        except Exception as error:  # noqa: BLE001 - as above
            self._report(f"{name}: its other versions stay loaded", error)
            return
        for other in others:
            try:
                self._release.retire(name, other)
                (self._exporter.store / f"{name}-{other}.mar.retired").unlink(missing_ok=True)
            except Exception as error:  # noqa: BLE001 - as above
                self._report(f"{name} {other} stays loaded", error)

    def _report(self, what: str, error: Exception) -> None:
        if not self._stopping.is_set():
            reason = str(error) if isinstance(error, OnnxserveError) else f"{type(error).__name__}: {error}"
            self._events.record(NAME, "failed", f"{what}\n{reason}")
