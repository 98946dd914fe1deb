"""Rows of a folder of images or sounds: each file is a row, and the folder that holds it is its label."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from onnxserve.batch.part import Source
from onnxserve.definition import Definition
from onnxserve.errors import DefinitionError

SHOWN = 5


def read_folder(album: Source, root: Path, definition: Definition) -> Iterator[tuple[bytes, str | None]]:
    """Yield content and label of every file, in the order of their paths; without class folders labels are None.

    DefinitionError if only some files lie in class folders, or a folder's name is not among the labels.
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
    unknown = [name for name in names if name not in definition.labels] if definition.labels else []
    if unknown:
        raise DefinitionError(
            f"folders {', '.join(unknown[:SHOWN])} are not among `labels`",
            where=str(root),
            fix=f"rename them, or write labels = {names} in the order of the model's outputs",
        )
    for path in paths:
        yield path.read_bytes(), None if loose else path.parent.name
