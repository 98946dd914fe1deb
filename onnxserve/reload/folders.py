"""The model folders that are watched, and those of them whose archives are older than their files."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from onnxserve.definition import read_definition
from onnxserve.errors import DefinitionError, OnnxserveError

from .watcher import files_elsewhere, watched_paths

MODELS = Path("models")
DEFINITION = "model.toml"


def model_folders(named: Sequence[Path]) -> tuple[Path, ...]:
    """Return the named folders, by default all below `models`; DefinitionError for one that describes no model."""
    folders = tuple(named) or tuple(path.parent for path in sorted(MODELS.glob(f"*/{DEFINITION}")))
    if not folders:
        raise DefinitionError(
            "there is no model folder to watch",
            where=str(MODELS.resolve()),
            fix="name folders after --reload; onnxserve new table NAME makes one",
        )
    for folder in folders:
        if not (folder / DEFINITION).is_file():
            fix = "name a folder that has a model.toml; onnxserve new table NAME makes one"
            raise DefinitionError("this folder describes no model", where=str(folder), fix=fix)
    return folders


def outdated_folders(folders: Iterable[Path], store: Path) -> list[Path]:
    """Return the folders without an archive in the store, and those with a file that is younger than the archive."""
    return [folder for folder in folders if is_outdated(folder, store)]


def is_outdated(folder: Path, store: Path) -> bool:
    """Return whether an export of the folder may make another archive than the stored one."""
    try:
        definition = read_definition(folder)
    except OnnxserveError:
        return True  # the export says what is wrong
    archive = store / f"{definition.name}-{definition.version}.mar"
    if not archive.is_file():
        return True
    exported_ns = archive.stat().st_mtime_ns
    files = (*watched_paths(folder), *files_elsewhere(folder))
    return any(path.stat().st_mtime_ns > exported_ns for path in files)
