"""`onnxserve serve --reload`: the development of models beside a server."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import typer

from onnxserve.errors import OnnxserveError
from onnxserve.release import release_of
from onnxserve.supervisor import Events
from onnxserve.torchserve import Settings

from .console import console, out

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
    settings: Settings, development: Development, events: Events, running: contextlib.ExitStack
) -> tuple[Settings, Callable[[], None]]:
    """Return the settings with a store of its own, and what starts to watch once the server is ready.

    If the user's store has no archive, the drafts of all folders are exported first; OnnxserveError if that fails.
    """
    from onnxserve.reload import DraftExporter, FolderWatcher, Reloader, development_store, outdated_folders

    store = running.enter_context(development_store(settings.store, settings.state))
    outdated = outdated_folders(development.folders, settings.store)
    watcher, exporter = FolderWatcher(development.folders, outdated), DraftExporter(store, trust=development.trust)
    if not any(store.glob("*.mar")):
        watcher = FolderWatcher(development.folders)
        for folder in development.folders:
            with console.status(f"exporting {folder}"):
                exporter.export(folder)

    def start() -> None:
        reloader = Reloader(watcher, exporter, release_of(settings), events)
        running.callback(reloader.stop)
        reloader.start()
        out.print(f"watching {', '.join(map(str, development.folders))}; an edit is served at once", markup=False)

    return replace(settings, store=store), start
