"""fsspec's file systems: which one reads a path or URL, and which package it needs."""

from __future__ import annotations

from itertools import takewhile
from pathlib import Path, PurePosixPath
from typing import Any

LOCAL = "file://"
# The extra of onnxserve that brings the file system of a scheme.
EXTRAS = {
    "s3": "s3",
    "s3a": "s3",
    "gs": "gs",
    "gcs": "gs",
    "az": "az",
    "abfs": "az",
    "abfss": "az",
    "adl": "az",
    "hf": "hf",
}


def locate(name: str) -> tuple[Any, str]:
    """File system and path of a path or URL; ValueError or ImportError for a URL that no file system here reads.

    In a URL fsspec takes `::` for a chain, as in `zip://rows.csv::s3://store/rows.zip`; in a path it is a name's.
    """
    import fsspec
    from fsspec.core import url_to_fs

    if "://" in name and not name.startswith(LOCAL):
        system, path = url_to_fs(name)
        return system, str(path)
    local = fsspec.filesystem("file")
    return local, str(local._strip_protocol(name))  # noqa: SLF001 - as fsspec's own url_to_fs makes a path absolute


def local_path(url: str) -> Path:
    """Return the path that a location of this machine names; `~NAME` stays as it is where there is no such user."""
    path = Path(url.removeprefix(LOCAL))
    try:
        return path.expanduser()
    except RuntimeError:
        return path


def installation(url: str) -> str:
    """Return the advice on how to install what reads a URL."""
    scheme = url.partition("://")[0].rpartition("::")[2].lower()
    if extra := EXTRAS.get(scheme):
        return f"pip install 'onnxserve[{extra}]'"
    return (
        "use https://, s3://, gs://, az://, hf://, oci:// or pypi://, or install the fsspec file system of this scheme"
    )


def version_mark(info: dict[str, Any]) -> str:
    """Return what changes with the bytes of a file that a file system describes; empty if it says nothing."""
    names = ("mtime", "ETag", "etag", "LastModified", "last_modified", "md5Hash")
    return next((str(value) for name in names if (value := info.get(name))), "")


def is_wild(path: str) -> bool:
    """Return whether a path is a glob."""
    return any(sign in path for sign in "*?[")


def wild_root(path: str) -> PurePosixPath:
    """Return the folder that all matches of a glob are below."""
    return PurePosixPath(*takewhile(lambda part: not is_wild(part), PurePosixPath(path).parts))
