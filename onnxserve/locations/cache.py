"""The cache of downloads: files and folders by their SHA-256, outside every model folder.

`files/DIGEST/NAME` is a file, `folders/DIGEST/` the files of a location, `unpacked/DIGEST/` an unpacked package or
image.
`partial/` has downloads that aren't whole; each is of one process at a time. Any part may be removed while no export
runs.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from onnxserve.file_lock import try_lock
from onnxserve_handlers.trust.digests import file_digest

POLL_S = 0.1


def cache_folder() -> Path:
    """Return the folder that keeps downloads between exports; `ONNXSERVE_CACHE` names another."""
    for name, below in (("ONNXSERVE_CACHE", ""), ("XDG_CACHE_HOME", "onnxserve"), ("HOME", ".cache/onnxserve")):
        if value := os.environ.get(name):
            return Path(value) / below
    return Path(tempfile.gettempdir()) / f"onnxserve-{os.getuid()}"  # a user of a container may have no home


def digest_of(path: Path) -> str:
    """Return the SHA-256 of a file, or the one of a folder's files."""
    if path.is_file():
        return file_digest(path)
    files = [entry for entry in path.rglob("*") if entry.is_file()]
    return folder_digest({entry.relative_to(path).as_posix(): file_digest(entry) for entry in files})


def folder_digest(digests: Mapping[str, str]) -> str:
    """Return the SHA-256 of what `sha256sum` prints for a folder's files, sorted by the bytes of their names."""
    lines = [f"{digests[name]}  {name}\n" for name in sorted(digests, key=str.encode)]
    return hashlib.sha256("".join(lines).encode()).hexdigest()


class Cache:
    """The cache in one folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def find(self, sha256: str, name: str = "") -> Path | None:
        """Return what has this digest, as a file called `name` or as a folder; None without it.

        Files and folders are read and checked each time; what differs from its digest is removed.
        """
        if (unpacked := self._folder / "unpacked" / sha256).is_dir():
            return unpacked
        if (folder := self._folder / "folders" / sha256).is_dir():
            return folder if self._is_whole(folder, sha256) else None
        kept = next(iter(sorted((self._folder / "files" / sha256).glob("*"))), None)
        if kept is None or not self._is_whole(kept, sha256):
            return None
        return self._named(kept, name or kept.name)

    def keep(self, path: Path, sha256: str) -> Path:
        """Move a file or folder into the cache; `sha256` is its digest."""
        if path.is_dir():
            return _move(path, self._folder / "folders" / sha256)
        return _move(path, self._folder / "files" / sha256 / path.name)

    def keep_unpacked(self, folder: Path, sha256: str) -> Path:
        """Move a folder into the cache that was unpacked from the bytes of this digest."""
        return _move(folder, self._folder / "unpacked" / sha256)

    @contextmanager
    def working(self, key: str, wait: Callable[[], None]) -> Iterator[Path]:
        """Lock the folder of one location's download, which keeps its bytes when the download breaks off.

        `wait` is called once if another process downloads the same location.
        """
        folder = self._folder / "partial" / hashlib.sha256(key.encode()).hexdigest()[:32]
        folder.mkdir(parents=True, exist_ok=True)
        with folder.with_suffix(".lock").open("w") as lock:
            if not try_lock(lock.fileno()):
                wait()
                while not try_lock(lock.fileno()):
                    time.sleep(POLL_S)
            folder.mkdir(exist_ok=True)  # the process before this one may have removed it
            yield folder

    def _is_whole(self, path: Path, sha256: str) -> bool:
        if digest_of(path) == sha256:
            return True
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()
        return False

    @staticmethod
    def _named(kept: Path, name: str) -> Path:
        """Return the file under another name too, since a name's suffix says what a file is."""
        path = kept.with_name(name)
        with suppress(FileExistsError):
            path.hardlink_to(kept)
        return path


def _move(source: Path, target: Path) -> Path:
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        source.rename(target)
    except OSError:
        if not target.exists():
            raise
        # Another export kept the same bytes first.
        shutil.rmtree(source) if source.is_dir() else source.unlink()
    return target
