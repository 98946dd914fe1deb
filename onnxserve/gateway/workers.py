"""nginx's worker processes, as the kernel knows them (proc(5), /proc/PID/task/TID/children)."""

from __future__ import annotations

import contextlib
from pathlib import Path

TITLE = b"nginx: worker process\0"  # one that is shutting down says so behind it


def workers(master: int, proc: Path = Path("/proc")) -> set[int]:
    """Ids of the workers that take connections; none where /proc doesn't say."""
    with contextlib.suppress(OSError):
        children = (proc / str(master) / "task" / str(master) / "children").read_text().split()
        return {int(child) for child in children if _title(proc / child) == TITLE}
    return set()


def _title(process: Path) -> bytes:
    try:
        return (process / "cmdline").read_bytes().rstrip(b"\0") + b"\0"
    except OSError:
        return b""
