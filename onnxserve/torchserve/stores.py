"""The stores of a server: `onnxserve serve` serves its own copies in the state folder."""

from __future__ import annotations

from pathlib import Path

from onnxserve.archive.store import Stores
from onnxserve.errors import ServerError
from onnxserve.processes import run_folder_is_locked

from .settings import Settings

FOLDER = "store"
RECORD = "kept-store"


def own_stores(settings: Settings) -> Stores:
    """Return the store that the settings name, with the folder for its copies."""
    return Stores(settings.store.resolve(), settings.state.resolve() / FOLDER)


def record_stores(settings: Settings, stores: Stores) -> None:
    """Record the store's path in the run folder, for commands with other settings or another working folder."""
    (settings.run / RECORD).write_text(str(stores.user), encoding="utf-8")


def stores_of(settings: Settings) -> Stores:
    """Return the stores of the running server; a TorchServe started by itself serves the named store directly.

    ServerError if the record of a running server can't be read.
    """
    record = settings.run / RECORD
    if not run_folder_is_locked(settings.run) or not record.is_file():
        return Stores(settings.store, settings.store)
    try:
        return Stores(Path(record.read_text(encoding="utf-8")), settings.state.resolve() / FOLDER)
    except OSError as error:
        raise ServerError(
            f"can't read the record of the server's store: {error.strerror}", where=str(record)
        ) from error
