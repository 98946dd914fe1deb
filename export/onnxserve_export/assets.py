"""Files that the handler reads from the archive: what the definition's function gives, or what its input kind names."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from onnxserve.definition import Definition
from onnxserve.errors import DefinitionError
from onnxserve_handlers.registry import input_kind

from .sources.model_folder import description_of
from .user_code import call_function


def files_of(definition: Definition) -> tuple[str, ...]:
    """Return the names of the files that the input kind reads, such as `tokenizer.json`."""
    return input_kind(definition.input.kind, features=definition.features is not None).files


def folders_of(source: Path | None) -> list[Path]:
    """Return the folders in which a source's files are looked for.

    They are its own and those in it, or those of its file and of the files that describe it.
    """
    if source is None:
        return []
    if source.is_dir():
        return [source, *sorted(path for path in source.iterdir() if path.is_dir())]
    return [source.parent, *filter(None, [description_of(source)])]


def place_of(name: str, folders: Iterable[Path]) -> Path | None:
    """Return the first folder's file of a name; None if no folder has one."""
    return next((folder / name for folder in folders if (folder / name).is_file()), None)


def read_assets(definition: Definition, source: Path | None, offered: Mapping[str, Any]) -> dict[str, bytes]:
    """Return the files by name: those of `assets`, or those of the kind beside model.toml or in the source's folder.

    `source` is the file or folder that the model came from. DefinitionError names what lies in none of these places; a
    handler of a user's own may do without.
    """
    if definition.assets:
        assets = call_function(definition.assets, definition.folder, **offered)
        return {str(name): bytes(content) for name, content in dict(assets).items()}
    folders = [definition.folder, *folders_of(source)]
    places = {name: place_of(name, folders) for name in files_of(definition)}
    lacking = [name for name, path in places.items() if path is None]
    if lacking and not definition.handler:
        raise DefinitionError(
            f"rows of kind {definition.input.kind} need {', '.join(lacking)}",
            where=" and ".join(map(str, folders[:2])),
            fix=f"put {lacking[0]} beside model.toml, or let the function that `assets` names give it",
        )
    return {name: path.read_bytes() for name, path in places.items() if path is not None}
