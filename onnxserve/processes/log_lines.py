"""The lines that a process wrote to its log since it was started."""

from __future__ import annotations

from pathlib import Path


def log_size(log: Path) -> int:
    """Return the size of a log in bytes, before a process starts appending; 0 if there is no file."""
    try:
        return log.stat().st_size
    except OSError:
        return 0


def lines_since(log: Path, begin: int) -> list[str]:
    """Return the lines from byte `begin` on; all lines if the log was truncated meanwhile, none without a file."""
    try:
        with log.open("rb") as file:
            file.seek(begin if begin <= log_size(log) else 0)
            return file.read().decode(errors="replace").splitlines()
    except OSError:
        return []
