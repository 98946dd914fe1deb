"""Files that outlive a power failure and that a reader never sees half written."""

from __future__ import annotations

import errno
import os
import tempfile
from pathlib import Path

FULL = (errno.ENOSPC, errno.EDQUOT)
BLOCK = 512  # bytes of st_blocks, stat(2)


def sync_folder(folder: Path) -> None:
    """Sync a folder, so that new names in it outlive a power failure; a file's own fsync doesn't do that (fsync(2))."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def replace_file(path: Path, content: bytes) -> None:
    """Write a temporary file and rename it, so that a reader sees the old content or the new one, never a part.

    On a full disk the file is overwritten in place if its blocks have room for the content. A power failure meanwhile
    may damage it, but a rollback or a start needn't wait for free space.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        _write_beside(path, content)
    except OSError as error:
        room = path.stat().st_blocks * BLOCK if path.is_file() else -1
        if error.errno not in FULL or len(content) > room:
            raise
        _overwrite(path, content)


def _overwrite(path: Path, content: bytes) -> None:
    with path.open("r+b", buffering=0) as stream:
        stream.write(content)
        stream.truncate()  # last, since another file may take the freed blocks at once
        os.fsync(stream.fileno())


def _write_beside(path: Path, content: bytes) -> None:
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        Path(name).replace(path)
        sync_folder(path.parent)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
