"""What a process has written to its log since it was started."""

from __future__ import annotations

from pathlib import Path


def log_size(log: Path) -> int:
    """Bytes that are there before a process begins to append; 0 if there is no file."""
    try:
        return log.stat().st_size
    except OSError:
        return 0


def lines_since(log: Path, begin: int) -> list[str]:
    """Lines from byte `begin` on; all if the log was cut meanwhile, none if there is no file."""
    try:
        with log.open("rb") as file:
            file.seek(begin if begin <= log_size(log) else 0)
            return file.read().decode(errors="replace").splitlines()
    except OSError:
        return []
