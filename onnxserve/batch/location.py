"""Where a path or URL points."""

from __future__ import annotations

from typing import Any

import fsspec
from fsspec.core import url_to_fs

LOCAL = "file://"


def locate(name: str) -> tuple[Any, str]:
    """File system and path of a path or URL; ValueError or ImportError for a URL that no file system here reads.

    In a URL fsspec takes `::` for a chain, as in `zip://rows.csv::s3://store/rows.zip`; in a path it is a name's.
    """
    if "://" in name and not name.startswith(LOCAL):
        system, path = url_to_fs(name)
        return system, str(path)
    local = fsspec.filesystem("file")
    return local, str(local._strip_protocol(name))  # noqa: SLF001 - as fsspec's own url_to_fs makes a path absolute
