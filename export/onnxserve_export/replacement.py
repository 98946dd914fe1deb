"""Whether an archive may enter the store: a version that exists never changes unless that was asked for.

An export asks before any work, and again at its end, since another export may have made the version meanwhile.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
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


def check_free(
    name: str, version: str, folders: Sequence[Path], remedy: str = 'set version = "{}" in model.toml'
) -> None:
    """Raise ArchiveError if a folder has or had an archive of a name and version, whatever is in it.

    This is known before any work. `remedy` says how the next version is given.
    """
    if path := earlier_archive(name, version, folders):
        free = next_version(version)
        while earlier_archive(name, free, folders):
            free = next_version(free)
        raise ArchiveError(
            f"{name} {version} exists, which clients may have been answered by",
            where=str(path),
            fix=f"{remedy.format(free)}; or pass --replace (in Python, replace=True), which puts the new one there",
        )


def earlier_archive(name: str, version: str, folders: Iterable[Path]) -> Path | None:
    """Return an archive that has or had this name and version; None if there is none."""
    return next(earlier_archives(f"{name}-{version}.mar", folders), None)


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
