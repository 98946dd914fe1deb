"""Which versions the archives of a model store are."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import msgspec

from onnxserve.archive import open_archive
from onnxserve.archive.read import member
from onnxserve.archive.write import MANIFEST
from onnxserve.errors import OnnxserveError

from .readiness import Version

EVIDENCE = "evidence.json"


@dataclass(frozen=True)
class StoredArchive:
    """A file of the store; `version` is None if it can't be read, and `ours` if our exporter made it."""

    path: Path
    version: Version | None
    ours: bool


def stored_archives(store: Path) -> list[StoredArchive]:
    """All archives, by name; TorchServe itself judges those that can't be read."""
    return [read_archive(path) for path in sorted(store.glob("*.mar"))]


def read_archive(path: Path) -> StoredArchive:
    """What an archive's manifest says; its digest isn't computed, which would take long."""
    try:
        with open_archive(path) as archive:
            model = msgspec.json.decode(member(archive, MANIFEST))["model"]
            version = str(model["modelName"]), str(model["modelVersion"])
            return StoredArchive(path, version, EVIDENCE in archive.namelist())
    except (OnnxserveError, msgspec.DecodeError, KeyError, TypeError):
        return StoredArchive(path, None, ours=False)
