"""`onnxserve serve --reload`: the development of models beside a server."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from onnxserve.errors import OnnxserveError
from onnxserve.gateway import RoleStore
from onnxserve.release import release_of
from onnxserve.supervisor import Events, Stopped, StopSignals
from onnxserve.torchserve import Settings

from .console import console, out

if TYPE_CHECKING:
    from onnxserve.reload import DraftExporter

POLL_S = 0.2
Folders = Annotated[
    list[Path] | None,
    typer.Argument(help="With --reload: the model folders to watch; default: all below models/.", show_default=False),
]
Reload = Annotated[
    bool,
    typer.Option("--reload", help="For development: export edited model folders as drafts and serve these at once."),
]


@dataclass(frozen=True)
class Development:
    """The folders that are watched; `trust` reads pickles."""

    folders: tuple[Path, ...]
    trust: bool


def development_of(folders: list[Path] | None, *, reload: bool, trust: bool) -> Development | None:
    """Return what `serve` was asked to watch, None without --reload; OnnxserveError for folders without it."""
    if reload:
        from onnxserve.reload import model_folders  # it reads definitions, which imports numpy

        return Development(model_folders(folders or ()), trust)
    if folders or trust:
        raise OnnxserveError("folders and --trust are for --reload alone", fix="onnxserve serve --reload models/NAME")
    return None


def begin_development(
    settings: Settings, development: Development, events: Events, running: contextlib.ExitStack, signals: StopSignals
) -> tuple[Settings, Callable[[], None]]:
    """Return the settings with a store of its own, and what starts to watch once the server is ready.

    If the user's store has no archive, the drafts of all folders are exported first; OnnxserveError if that fails, and
    Stopped after a signal. When the server ends, the roles are again those of the user's archives.
    """
    from onnxserve.reload import DraftExporter, FolderWatcher, Reloader, development_store, outdated_folders

    role_store = RoleStore(settings.state)
    role_store.keep()
    running.callback(role_store.put_back)
    store = running.enter_context(development_store(settings.store, settings.state))
    outdated = outdated_folders(development.folders, settings.store)
    watcher, exporter = FolderWatcher(development.folders, outdated), DraftExporter(store, trust=development.trust)
    if not any(store.glob("*.mar")):
        watcher = FolderWatcher(development.folders)
        export_first(exporter, development.folders, signals)

    def start() -> None:
        reloader = Reloader(watcher, exporter, release_of(settings), events)
        running.callback(reloader.stop)
        reloader.start()
        out.print(f"watching {', '.join(map(str, development.folders))}; an edit is served at once", markup=False)

    return replace(settings, store=store), start


def export_first(exporter: DraftExporter, folders: Iterable[Path], signals: StopSignals) -> None:
    """Export a draft of each folder; Stopped after a signal, which ends the export under way."""
    with ThreadPoolExecutor(1) as pool:
        for folder in folders:
            with console.status(f"exporting {folder}"):
                draft = pool.submit(exporter.export, folder)
                while not draft.done():
                    if signals.wait(POLL_S):
                        exporter.stop()
                        raise Stopped
                draft.result()
