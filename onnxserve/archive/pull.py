"""Fetching an archive into the model store, if its bytes have the given digest."""

from __future__ import annotations

import hashlib
import tempfile
from pathlib import Path
from typing import IO
from urllib.parse import urlsplit

from onnxserve.errors import ArchiveError
from onnxserve_handlers.trust.digests import file_digest

from .check import check_archive
from .file import enter_store

CHUNK = 2**20
HEX = 64


def pull(source: str, sha256: str, store: Path) -> Path:
    """Copy from a path or a URL that fsspec knows (s3://, gs://, https://, …); ArchiveError unless all checks pass.

    An archive that is in the store with this digest is not fetched again.
    """
    name = Path(urlsplit(source).path).name
    if not name.endswith(".mar"):
        raise ArchiveError("not the address of an archive", where=source, fix="its name must end in .mar")
    if len(sha256) != HEX or set(sha256) - set("0123456789abcdef"):
        raise ArchiveError(f"not a SHA-256: {sha256!r}", where=source, fix="64 hex digits, as export and verify print")
    if (there := store / name).is_file() and file_digest(there) == sha256:
        return there
    with tempfile.TemporaryDirectory() as scratch:
        fetched = Path(scratch) / name
        actual = fetch(source, fetched)
        if actual != sha256:
            raise ArchiveError(f"its SHA-256 is {actual}, {sha256} was named", where=source, fix="nothing was stored")
        check_archive(fetched)
        return enter_store(fetched, store)


def fetch(source: str, target: Path) -> str:
    """Copy the source; return the hex SHA-256 of its bytes. ArchiveError if it can't be read."""
    digest = hashlib.sha256()
    try:
        with open_source(source) as stream, target.open("wb") as copy:
            while chunk := stream.read(CHUNK):
                digest.update(chunk)
                copy.write(chunk)
    except (OSError, ValueError, ImportError) as error:  # unreadable, an unknown scheme, a missing file system
        raise ArchiveError(f"can't be read: {error}", where=source) from error
    return digest.hexdigest()


def open_source(source: str) -> IO[bytes]:
    """Open a path or a URL."""
    if "://" not in source:
        return Path(source).open("rb")
    try:
        import fsspec
    except ModuleNotFoundError as error:
        raise ArchiveError("fsspec is not installed", where=source, fix="pip install 'onnxserve[pull]'") from error
    stream: IO[bytes] = fsspec.open(source, "rb").open()
    return stream
