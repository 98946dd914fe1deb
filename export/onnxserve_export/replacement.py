"""Whether an archive may enter the store: a version that exists never changes unless that was asked for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from onnxserve.archive import same_content
from onnxserve.errors import ArchiveError

RETIRED = ".retired"  # what `release retire` appends to the name of an archive


def earlier_archives(name: str, folders: Iterable[Path]) -> Iterator[Path]:
    """Yield the files of these folders that have or had this name: stored, loaded by a server, or retired."""
    for folder in folders:
        for path in (folder / name, folder / f"{name}{RETIRED}"):
            if path.is_file():
                yield path


def check_replaceable(archive: Path, folders: Iterable[Path], version: str) -> None:
    """Raise ArchiveError if a folder has or had other content under the archive's name.

    A signature is no content: the same archive may be stored signed.
    """
    for path in earlier_archives(archive.name, folders):
        if not same_content(path, archive):
            raise ArchiveError(
                f"another {archive.name} exists, which clients may have been answered by",
                where=str(path),
                fix=f'set version = "{next_version(version)}" in model.toml, or pass --replace',
            )


def next_version(version: str) -> str:
    """Return the version with its last number raised: 1.0.1 after 1.0.0."""
    *first, last = version.split(".")
    return ".".join([*first, str(int(last) + 1)])
