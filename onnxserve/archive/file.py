"""Copying an archive into a model store."""

from __future__ import annotations

import shutil
from pathlib import Path


def enter_store(archive: Path, store: Path, name: str = "") -> Path:
    """Copy beside the target, then rename: a server that lists the store never sees half an archive."""
    store.mkdir(parents=True, exist_ok=True)
    target = store / (name or archive.name)
    partial = target.with_suffix(".part")
    shutil.copyfile(archive, partial)
    partial.replace(target)
    return target
