"""Exports drafts: archives in fp32 of the next development version, one after the other."""

from __future__ import annotations

import signal
import sys
import threading
from pathlib import Path

from onnxserve.definition import read_definition
from onnxserve.errors import StepFailed
from onnxserve.processes import Child, end_group, spawn

PATIENCE_S = 5.0  # for an export that removes its temporary files
PROGRAM = Path(__file__).with_name("export_process.py")


class DraftExporter:
    """Exports drafts into a store. A draft's version is the definition's with a number that rises: 1.0.0.1, 1.0.0.2."""

    def __init__(self, store: Path, *, trust: bool = False) -> None:
        self.store = store
        self._trust = trust
        self._number = 0
        self._lock = threading.Lock()
        self._process: Child | None = None
        self._stopped = False

    def export(self, folder: Path) -> Path:
        """Export a model's folder and return the archive; OnnxserveError with the reason if that fails."""
        definition = read_definition(folder)
        self._number += 1
        version = f"{definition.version}.{self._number}"
        log, result = (self.store / f"{definition.name}.{kind}" for kind in ("log", "result"))
        result.unlink(missing_ok=True)
        words = [folder.resolve(), self.store.resolve(), version, result.resolve()]
        status = self._run([*map(str, words), "trust" if self._trust else ""], log)
        if not result.is_file():
            raise StepFailed(f"the export ended with status {status}", where=str(log), fix="read the end of its log")
        if error := result.read_text():
            raise StepFailed(error)
        return self.store / f"{definition.name}-{version}.mar"

    def stop(self) -> None:
        """End the export under way, and begin no other."""
        with self._lock:
            self._stopped = True
            if self._process is not None:
                end_group(self._process, signal.SIGTERM, PATIENCE_S)

    def _run(self, arguments: list[str], log: Path) -> int:
        """Run the export to its end; return its exit status."""
        with self._lock:
            if self._stopped:
                raise StepFailed("the server is stopping")
            # -P: modules beside the program must not hide libraries of the same name.
            program = [sys.executable, "-P", str(PROGRAM)]
            self._process = process = spawn([*program, *arguments], folder=Path.cwd(), log=log)
        status = process.wait()
        with self._lock:
            end_group(process, signal.SIGKILL, 0)
            self._process = None
        return status
