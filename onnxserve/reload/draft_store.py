"""The store of a development server: the user's archives, and drafts, which never get into the user's store."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

FOLDER = "development"


@contextlib.contextmanager
def development_store(store: Path, state: Path) -> Iterator[Path]:
    """Make a store in the state folder with links to a store's archives, or copies where links can't be; remove it."""
    folder = state / FOLDER
    shutil.rmtree(folder, ignore_errors=True)  # of a server that was killed
    folder.mkdir(mode=0o700, parents=True)
    try:
        for archive in sorted(store.glob("*.mar")):
            _link(archive, folder / archive.name)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _link(source: Path, target: Path) -> None:
    try:
        os.link(source.resolve(), target)  # a link to a relative link would lead nowhere from there
    except OSError:
        if source.is_file():  # the start refuses anything else by itself
            shutil.copy2(source, target)
