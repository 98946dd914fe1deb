"""What was read from a file, kept until the file changes."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")
MOST_FILES = 128


def cached_by_file(read: Callable[[Path], T]) -> Callable[[Path], T]:
    """Return a function that reads a file again once its size, its time of change or its inode is another.

    Errors aren't kept, and callers share what was read, so they must not change it.
    """

    @lru_cache(maxsize=MOST_FILES)
    def read_state(path: Path, *_: int) -> T:
        return read(path)

    def cached(path: Path) -> T:
        try:
            state = path.stat()
        except OSError:  # what reads it says what is wrong
            return read(path)
        return read_state(path, state.st_size, state.st_mtime_ns, state.st_ino)

    return cached
