"""The store of archives to serve: filling it, with events about refused archives, and listing its versions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from onnxserve.archive import Stores, fill, open_archive
from onnxserve.archive.read import version_of
from onnxserve.archive.store import MIGRATE, STAGED
from onnxserve.errors import OnnxserveError, ServerError
from onnxserve.torchserve.server import check_store
from onnxserve_handlers.trust.digests import MIGRATION

from .events import Events
from .readiness import Version

SIGNATURE = "signature.json"  # of an archive whose handler is ours: it describes itself and has golden rows
NAME = "store"


@dataclass(frozen=True)
class StoredArchive:
    """A file of the store; `version` is None if it can't be read.

    `ours` tells whether its handler is ours, `migrated` whether it was taken over from TorchServe.
    """

    path: Path
    version: Version | None
    ours: bool
    migrated: bool = False


def fill_store(stores: Stores, public_keys: Sequence[Path], events: Events) -> None:
    """Copy the archives that may be served and record those that are refused; ServerError if none is left."""
    refusals = fill(stores, *public_keys)
    for refusal in refusals:
        events.record(NAME, "refused", f"{refusal.file}: {refusal.reason}")
    for archive in stored_archives(stores.server):
        if not (archive.ours or archive.migrated):
            what = "served as TorchServe would, with bodies as `decode_input_request` has them"
            events.record(NAME, "unproven", f"{archive.path.name}: {what}; {MIGRATE}")
    if not any(stores.server.glob("*.mar")):
        if not refusals:
            check_store(stores.user)
        what = "no archive of the model store can be served"
        raise ServerError(what, where=str(stores.user), fix="onnxserve export models/NAME")


def stored_archives(store: Path) -> list[StoredArchive]:
    """Return all archives by file name, without those that are being registered."""
    return [read_archive(path) for path in sorted(store.glob("*.mar")) if not path.name.endswith(STAGED)]


def read_archive(path: Path) -> StoredArchive:
    """Read an archive's manifest, without the slow check of its digest."""
    try:
        with open_archive(path) as archive:
            names = archive.namelist()
            return StoredArchive(path, version_of(archive), SIGNATURE in names, MIGRATION in names)
    except OnnxserveError:
        return StoredArchive(path, None, ours=False)
