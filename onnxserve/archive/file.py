"""Copying an archive into a model store, and comparing it with one that is there."""

from __future__ import annotations

import shutil
from pathlib import Path

from onnxserve.errors import ArchiveError
from onnxserve_handlers.trust.digests import file_digest

from .read import contents


def enter_store(archive: Path, store: Path, name: str = "") -> Path:
    """Copy an archive into a store and return its path; a server that lists the store never sees half an archive."""
    store.mkdir(parents=True, exist_ok=True)
    target = store / (name or archive.name)
    partial = target.with_suffix(".part")
    try:
        shutil.copyfile(archive, partial)
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)
    return target


def same_content(left: Path, right: Path) -> bool:
    """Return whether two archives have the same members and manifest, signed or not; an unreadable one has no twin."""
    if file_digest(left) == file_digest(right):
        return True
    try:
        return contents(left)[:2] == contents(right)[:2]
    except ArchiveError:
        return False
