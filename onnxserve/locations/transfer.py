"""The transfer of one file: resumed where it broke off, digested while it is read, bounded in size."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable
from pathlib import Path

from onnxserve.errors import SourceError

from .remote import Interrupted, Remote, RemoteFile, Restart, Stream

TRIES = 5  # in a row without a new byte
FIRST_S, MOST_S = 0.5, 8.0
BLOCK = 2**20
LIMIT_FIX = "name fewer files, or raise ONNXSERVE_MAX_DOWNLOAD_GB"


class Allowance:
    """The bytes that one location may have."""

    def __init__(self, limit: int, where: str) -> None:
        self._limit, self.where = limit, where
        self._others = 0

    def check(self, size: int) -> None:
        """Raise SourceError if a file of this size, with the files before it, is above the limit."""
        if self._others + size > self._limit:
            raise SourceError(
                f"more than {self._limit / 1e9:g} GB",
                where=self.where,
                fix=LIMIT_FIX,
            )

    def add(self, size: int) -> None:
        """Count a file that is there."""
        self.check(size)
        self._others += size


class Partial:
    """A file that grows, with the mark of the version that its bytes are of, and their digest so far."""

    def __init__(self, file: RemoteFile, path: Path, mark_file: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        mark_file.parent.mkdir(parents=True, exist_ok=True)
        self.path, self._mark_file, self._file = path, mark_file, file
        self.size, self.hasher = 0, hashlib.sha256()
        self.mark = mark_file.read_text() if mark_file.is_file() else ""

    def resume(self) -> None:
        """Keep the bytes of an earlier process if they are of the same version; else remove them."""
        is_same = self.mark and self._file.mark in ("", self.mark) and self.path.is_file()
        if not is_same or (self._file.size is not None and self.path.stat().st_size > self._file.size):
            self.restart(self._file.mark)
            return
        with self.path.open("rb") as stream:
            while block := stream.read(BLOCK):
                self.hasher.update(block)
                self.size += len(block)

    def restart(self, mark: str) -> None:
        """Begin again with a version of this mark."""
        self.path.write_bytes(b"")
        self._mark_file.write_text(mark)
        self.size, self.hasher, self.mark = 0, hashlib.sha256(), mark

    def append(self, stream: Stream, allowance: Allowance, report: Callable[[int], None]) -> None:
        """Write what a stream brings; Interrupted if it ends early."""
        mark = self._file.mark or stream.mark
        if stream.offset != self.size or mark != self.mark:
            if stream.offset:
                raise Restart
            self.restart(mark)
        allowance.check(stream.total or 0)
        with self.path.open("ab") as target:
            for block in stream.chunks:
                allowance.check(self.size + len(block))
                target.write(block)
                self.hasher.update(block)
                self.size += len(block)
                report(self.size)
        if stream.total is not None and self.size < stream.total:
            raise Interrupted(f"the connection ended after {self.size} of {stream.total} bytes")


def transfer(
    remote: Remote, file: RemoteFile, partial: Partial, allowance: Allowance, report: Callable[[int], None]
) -> str:
    """Bring one file here; return its SHA-256. SourceError if the service fails for good, or the disk is full."""
    partial.resume()
    if file.size is not None and partial.size == file.size:
        return partial.hasher.hexdigest()
    tries = 0
    while True:
        before = partial.size
        try:
            with remote.read(file._replace(mark=partial.mark), partial.size) as stream:
                partial.append(stream, allowance, report)
            return partial.hasher.hexdigest()
        except Restart:
            partial.restart("")
            tries += 1
            reason = "it doesn't continue where it broke off"
        except Interrupted as error:
            tries = 1 if partial.size > before else tries + 1
            reason = str(error)
        except OSError as error:
            raise SourceError(f"{partial.path} can't be written: {os.strerror(error.errno or 0)}") from error
        if tries >= TRIES:
            raise SourceError(
                f"{file.name} could not be fetched: {reason}",
                where=allowance.where,
                fix="try again: the download continues where it broke off",
            )
        time.sleep(min(MOST_S, FIRST_S * 2 ** (tries - 1)))
