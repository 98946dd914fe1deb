"""An archive as a file: its digest, and its way into a model store."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path


def file_digest(path: Path) -> str:
    """Hex SHA-256 of a file."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def enter_store(archive: Path, store: Path, name: str = "") -> Path:
    """Copy beside, then rename to its own name or `name`: a server that lists the store never sees half an archive."""
    store.mkdir(parents=True, exist_ok=True)
    target = store / (name or archive.name)
    partial = target.with_suffix(".part")
    shutil.copyfile(archive, partial)
    partial.replace(target)
    return target
