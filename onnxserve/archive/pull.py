"""Fetching an archive into the model store, if its bytes have the given digest."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import IO
from urllib.parse import urlsplit

from onnxserve.errors import ArchiveError
from onnxserve.locations.fetch import fetch as fetch_location
from onnxserve.locations.fetch import open_access
from onnxserve.locations.location import Location, parse_location
from onnxserve.scratch import Scratch
from onnxserve_handlers.trust.digests import file_digest

from .check import check_archive
from .file import enter_store

CHUNK = 2**20
HEX = 64
SUFFIX = ".mar"
REGISTRY = "oci"


def pull(source: str, sha256: str, store: Path) -> Path:
    """Copy an archive into a store and return its path there.

    `source` is a path, a URL that fsspec knows (s3://, gs://, https://, …) or a registry's (oci://). An archive that is
    in the store with this digest is not fetched again. Of a registry the digest is the manifest's, which names that of
    the archive. ArchiveError unless all checks pass.
    """
    if parse_location(source).scheme == REGISTRY:
        return pull_artifact(source, sha256, store)
    name = Path(urlsplit(source).path).name
    if not name.endswith(SUFFIX):
        raise ArchiveError("not the address of an archive", where=source, fix="its name must end in .mar")
    check_digest(source, sha256)
    if (there := store / name).is_file() and file_digest(there) == sha256:
        return there
    with Scratch() as scratch:
        fetched = scratch / name
        actual = fetch(source, fetched)
        if actual != sha256:
            raise ArchiveError(
                f"its SHA-256 is {actual}, {sha256} was expected", where=source, fix="nothing was stored"
            )
        check_archive(fetched)
        return enter_store(fetched, store)


def check_digest(source: str, sha256: str) -> None:
    """Raise ArchiveError unless `sha256` is 64 hex digits in lower case."""
    if len(sha256) != HEX or set(sha256) - set("0123456789abcdef"):
        raise ArchiveError(f"not a SHA-256: {sha256!r}", where=source, fix="64 hex digits, as export and verify print")


def pull_artifact(source: str, sha256: str, store: Path) -> Path:
    """Fetch the archive of a registry's artifact: the only file that a manifest names.

    ArchiveError if the artifact isn't one archive, or the archive isn't what it records.
    """
    check_digest(source, sha256)
    location = Location(source, sha256)
    path = fetch_location(location, Path(), open_access(offline=False, say=lambda _: None))
    if path.is_dir() or path.suffix != SUFFIX:
        raise ArchiveError(
            "the artifact isn't one archive",
            where=source,
            fix="push the archive alone, under its own name: oras push REGISTRY/REPOSITORY:TAG NAME-VERSION.mar",
        )
    check_archive(path)
    return enter_store(path, store)


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
    """Open a path or a URL; ArchiveError if fsspec, which reads URLs, isn't installed."""
    if "://" not in source:
        return Path(source).open("rb")
    try:
        import fsspec
    except ModuleNotFoundError as error:
        raise ArchiveError("fsspec is not installed", where=source, fix="pip install 'onnxserve[pull]'") from error
    stream: IO[bytes] = fsspec.open(source, "rb").open()
    return stream
