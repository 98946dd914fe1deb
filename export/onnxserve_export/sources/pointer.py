"""Files that stand for others: a clone without Git LFS has pointers in place of large files."""

from __future__ import annotations

from pathlib import Path

from onnxserve.errors import DefinitionError

POINTER = b"version https://git-lfs"  # https://github.com/git-lfs/git-lfs/blob/main/docs/spec.md


def check_pointer(path: Path) -> None:
    """Raise DefinitionError for a pointer of Git LFS."""
    with path.open("rb") as stream:
        if stream.read(len(POINTER)) == POINTER:
            what = f"{path.name} is a pointer of Git LFS, which stands for the file itself"
            raise DefinitionError(what, where=str(path), fix="fetch the file: git lfs pull, in the repository's folder")
