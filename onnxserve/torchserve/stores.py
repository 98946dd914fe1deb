"""Which store a server has: its own copies in the state folder, if `onnxserve serve` runs it."""

from __future__ import annotations

from pathlib import Path

from onnxserve.archive.store import Stores
from onnxserve.errors import ServerError
from onnxserve.processes import run_folder_is_locked

from .settings import Settings

FOLDER = "store"
RECORD = "kept-store"


def own_stores(settings: Settings) -> Stores:
    """The store that the settings name, and the folder for its copies."""
    return Stores(settings.store.resolve(), settings.state.resolve() / FOLDER)


def record_stores(settings: Settings, stores: Stores) -> None:
    """Say in the run folder where archives are kept, for whoever has other settings or another working folder."""
    (settings.run / RECORD).write_text(str(stores.kept), encoding="utf-8")


def stores_of(settings: Settings) -> Stores:
    """Those of the running server; a TorchServe that was started by itself loads from the store that is named."""
    record = settings.run / RECORD
    if not run_folder_is_locked(settings.run) or not record.is_file():
        return Stores(settings.store, settings.store)
    try:
        return Stores(Path(record.read_text(encoding="utf-8")), settings.state.resolve() / FOLDER)
    except OSError as error:
        raise ServerError(f"can't read which store the server has: {error.strerror}", where=str(record)) from error
