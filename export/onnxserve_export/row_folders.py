"""Rows of a folder of images or sounds: each file is a row, and the folder that holds it is its label."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from onnxserve.batch.part import Source
from onnxserve.definition import Definition
from onnxserve.errors import DefinitionError

SHOWN = 5
UNNAMED = ("detection", "segmentation")  # tasks whose rows have boxes or masks for labels


def file_of(album: Source, content: bytes) -> str:
    """Return the path of the file that has a row's content, empty if none does."""
    paths = (url.removeprefix("file://") for url in album.paths)
    return next((path for path in paths if Path(path).read_bytes() == content), "")


def read_folder(album: Source, root: Path, definition: Definition) -> Iterator[tuple[bytes, str | None]]:
    """Yield content and label of every file, in the order of their paths; without class folders labels are None.

    DefinitionError if only some files lie in class folders, if the task's labels aren't names, or if a folder's name is
    not among the labels.
    """
    paths = [Path(url.removeprefix("file://")) for url in album.paths]
    loose = [path for path in paths if path.parent == root]
    if loose and len(loose) < len(paths):
        raise DefinitionError(
            f"{len(loose)} of {len(paths)} files lie beside the class folders, such as {loose[0].name}",
            where=str(root),
            fix="move each into the folder of its class, or all into one folder to have no labels",
        )
    names = sorted({path.parent.name for path in paths}) if not loose else []
    if names and definition.output.task in UNNAMED:
        raise DefinitionError(
            f"the folders {', '.join(names[:SHOWN])} are taken for labels, which {definition.output.task} has none of",
            where=str(root),
            fix="move the files into one folder to have no labels; labels come from a function or JSON lines",
        )
    unknown = [name for name in names if name not in definition.labels] if definition.labels else []
    if unknown:
        raise DefinitionError(
            f"folders {', '.join(unknown[:SHOWN])} are not among `labels`",
            where=str(root),
            fix=f"rename them, or write labels = {names} in the order of the model's outputs",
        )
    for path in paths:
        yield path.read_bytes(), None if loose else path.parent.name
