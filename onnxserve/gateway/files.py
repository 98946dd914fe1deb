"""Writing files that other processes may read at the same time."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TypeVar

import msgspec

from onnxserve.disk import sync_folder
from onnxserve.errors import GatewayError

Kind = TypeVar("Kind")
FULL = (errno.ENOSPC, errno.EDQUOT)
BLOCK = 512  # bytes of st_blocks, stat(2)


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


@contextlib.contextmanager
def lock_file(path: Path) -> Iterator[None]:
    """Lock a file against changes by other processes within the block, by a lock file beside it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def read_json(path: Path, kind: type[Kind], *, fix: str) -> Kind | None:
    """Return a file's content; None if there is no file. GatewayError, with `fix`, when the file is damaged."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except FileNotFoundError:
        return None
    except msgspec.DecodeError as error:
        raise GatewayError(f"the file is damaged: {error}", where=str(path), fix=fix) from error


def write_json(path: Path, content: object) -> None:
    """Replace a file by indented JSON."""
    replace_file(path, msgspec.json.format(msgspec.json.encode(content), indent=2))


def write_files(folder: Path, files: Mapping[str, bytes]) -> list[Path]:
    """Write files by name and return their paths; an unchanged file isn't written, so that a restart needs no space."""
    for name, content in files.items():
        path = folder / name
        if not path.is_file() or path.read_bytes() != content:
            replace_file(path, content)
    return [folder / name for name in files]
