"""The files that rows of a kind need, such as a tokenizer's: beside the model, or named by the user."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from pathlib import Path

from onnxserve.errors import DefinitionError
from onnxserve_export.assets import place_of
from onnxserve_export.faults import FaultList
from onnxserve_handlers.registry import KINDS, input_kind

from .outline import Outline

OPTION = "--file"


def read_files(paths: Iterable[Path], faults: FaultList) -> Mapping[str, Path]:
    """Return the user's files by name; each that is missing, or that no kind reads, is added to `faults`."""
    known = {name: kind for kind in KINDS for name in input_kind(kind).files}
    files = {path.name: path for path in paths}
    for name, path in files.items():
        if name not in known:
            fix = f"give {', '.join(known)}, under that name; a function's own files lie beside its code"
            faults.add(DefinitionError(f"no kind of input reads {name}", where=f"{OPTION} {path}", fix=fix))
        elif not path.is_file():
            faults.add(
                DefinitionError(f"there is no file {path}", where=f"{OPTION} {path}", fix="name an existing file")
            )
    return files


def read_kind(outline: Outline) -> None:
    """Take the kind that reads the user's files, unless the user names another."""
    for kind in KINDS:
        if name := next((name for name in input_kind(kind).files if name in outline.files), ""):
            outline.add("input.kind", kind, f"{OPTION} {name}")


def missing_files(outline: Outline, written: Collection[str], folders: Iterable[Path]) -> list[str]:
    """Return the files of the kind that an export wouldn't find in the model's folder, nor in `folders`.

    `written` are the names of those that the import writes.
    """
    kind = outline.get("input.kind")
    if kind not in KINDS or outline.get("assets") or outline.get("handler"):
        return []  # an unknown kind is the outline's to refuse
    places = [*folders]
    return [
        name
        for name in input_kind(kind).files
        if name not in written and name not in outline.files and not place_of(name, places)
    ]


def ask_files(outline: Outline, written: Collection[str], folders: Iterable[Path]) -> None:
    """Ask for the files of the kind that an export wouldn't find."""
    for name in missing_files(outline, written, folders):
        kind = outline.get("input.kind")
        outline.ask(
            name, f"rows of kind {kind} need this file, and it doesn't lie beside the model", f"{OPTION} PATH/{name}"
        )
