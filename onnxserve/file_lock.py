"""Advisory locks on open files (flock(2)), which the kernel releases when the process ends."""

from __future__ import annotations

import contextlib
import fcntl
from collections.abc import Iterator
from pathlib import Path


def try_lock(descriptor: int, *, shared: bool = False) -> bool:
    """Lock an open file without waiting; False while another process holds a lock that conflicts."""
    try:
        fcntl.flock(descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@contextlib.contextmanager
def lock_file(path: Path) -> Iterator[None]:
    """Lock a file against changes by other processes within the block, by a lock file beside it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
