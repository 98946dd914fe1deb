"""Which models have changed files: their times and sizes are polled, which works on every file system.

Notifications of the kernel don't come from network mounts and from a container's host. A model's files are those of its
folder, and those elsewhere that its model.toml names.
"""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from onnxserve.archive import file_digest

from .named_files import outside_paths

UNWATCHED = "__pycache__"


class WatchedFile(NamedTuple):
    """A file's time and size, and what stands for its content."""

    modified_ns: int
    size: int
    digest: str


Files = dict[str, WatchedFile]  # by path, relative to the folder; elsewhere absolute


class FolderWatcher:
    """Reports folders whose content changed since it was taken up, once they have stopped changing.

    Folders that are `outdated` are reported at first, without a change.
    """

    def __init__(self, folders: Iterable[Path], outdated: Collection[Path] = ()) -> None:
        self._files = {folder: read_files(folder, {}) for folder in folders}
        self._taken = {folder: None if folder in outdated else contents(files) for folder, files in self._files.items()}

    def changed(self) -> list[Path]:
        """Return the folders that changed and have been the same in two calls in a row; each change is returned once.

        A file that is written again with the same content doesn't count, since an export may do that itself.
        """
        changed = []
        for folder, before in self._files.items():
            try:
                now = self._files[folder] = read_files(folder, before)
            except OSError:  # a folder in it was removed while it was read; the next call reads it again
                continue
            if now == before and contents(now) != self._taken[folder]:
                self._taken[folder] = contents(now)
                changed.append(folder)
        return changed


def read_files(folder: Path, known: Files) -> Files:
    """Return a model's files; the digest of a file that has the time and the size of a `known` one is kept.

    Files elsewhere may be large, and no export writes them: their time and size stand for their content.
    """
    files: Files = {}
    for path in watched_paths(folder):
        with contextlib.suppress(OSError):  # an editor may have just replaced it
            status, name = path.stat(), str(path.relative_to(folder))
            before = known.get(name)
            if before is None or before[:2] != (status.st_mtime_ns, status.st_size):
                before = WatchedFile(status.st_mtime_ns, status.st_size, file_digest(path))
            files[name] = before
    for path in files_elsewhere(folder):
        with contextlib.suppress(OSError):
            status = path.stat()
            files[str(path)] = WatchedFile(status.st_mtime_ns, status.st_size, f"{status.st_mtime_ns} {status.st_size}")
    return files


def files_elsewhere(folder: Path) -> Iterator[Path]:
    """Yield the files outside of a model's folder that it is made of.

    Of a folder that holds the model's, only the files at its top: below are other models, and what the server writes.
    """
    for path in outside_paths(folder):
        if path.is_dir():
            yield from watched_paths(path, "*" if folder.resolve().is_relative_to(path.resolve()) else "**/*")
        elif path.is_file():
            yield path


def watched_paths(folder: Path, glob: str = "**/*") -> Iterator[Path]:
    """Yield the files of a folder that match, without hidden ones, backups and bytecode."""
    for path in sorted(folder.glob(glob)):
        parts = path.relative_to(folder).parts
        hidden = any(part.startswith(".") or part == UNWATCHED for part in parts)
        if not hidden and not path.name.endswith("~") and path.is_file():
            yield path


def contents(files: Files) -> dict[str, str]:
    """Return the digests of files."""
    return {name: file.digest for name, file in files.items()}
