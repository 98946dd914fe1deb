"""Log rotation by size and age, so that logs never fill the disk."""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

DAY_S = 86_400.0


@dataclass(frozen=True)
class LogLimits:
    """Bounds of one log.

    At most `files` old parts are kept beside the current one, each of about `size` bytes and none older than `days`.
    """

    size: int = 64 * 1024 * 1024
    files: int = 4
    days: float = 7.0

    @property
    def part_s(self) -> float:
        """Seconds after which even a small part is rotated, so that all parts together span `days`."""
        return self.days * DAY_S / (self.files + 1)


@dataclass(frozen=True)
class LogWriter:
    """The log files of a process.

    `reopen` makes the process write to new files. Without it the files are copied and truncated, which needs files
    opened for appending and loses what is written in between.
    """

    paths: tuple[Path, ...]
    reopen: Callable[[], None] | None = None


class Rotation:
    """Rotates a log when `tick` sees that it is too large or too old."""

    def __init__(self, writers: Callable[[], Sequence[LogWriter]], limits: LogLimits | None = None) -> None:
        self._writers = writers
        self._limits = limits or LogLimits()
        self._started: dict[Path, float] = {}

    def tick(self) -> None:
        """Check every log once."""
        now = time.time()
        for writer in self._writers():
            due = [path for path in writer.paths if self._due(path, now)]
            for path in due:
                rotate(path, self._limits.files, move=writer.reopen is not None)
                self._started[path] = now
            if due and writer.reopen is not None:
                writer.reopen()
            for path in writer.paths:
                remove_old(path, self._limits, now)

    def _due(self, path: Path, now: float) -> bool:
        try:
            size = path.stat().st_size
        except OSError:
            return False
        started = self._started.setdefault(path, _modification_time(part(path, 1)) or now)
        return size > self._limits.size or (size > 0 and now - started > self._limits.part_s)


def part(path: Path, number: int) -> Path:
    """Return the path of an old part; number 1 is the youngest."""
    return path.with_name(f"{path.name}.{number}")


def rotate(path: Path, files: int, *, move: bool) -> None:
    """Make the log the youngest old part. On a full disk the old parts are removed instead."""
    part(path, files).unlink(missing_ok=True)
    for number in range(files - 1, 0, -1):
        with contextlib.suppress(FileNotFoundError):
            part(path, number).replace(part(path, number + 1))
    if move:
        path.replace(part(path, 1))
        return
    try:
        shutil.copy2(path, part(path, 1))
    except OSError:
        for number in range(1, files + 1):
            part(path, number).unlink(missing_ok=True)
    os.truncate(path, 0)


def remove_old(path: Path, limits: LogLimits, now: float) -> None:
    """Remove parts that are too old, and those beyond a lowered limit."""
    for old in path.parent.glob(f"{path.name}.*"):
        number = old.name.removeprefix(f"{path.name}.")
        if number.isdigit() and (
            int(number) > limits.files or now - (_modification_time(old) or now) > limits.days * DAY_S
        ):
            old.unlink(missing_ok=True)


def _modification_time(path: Path) -> float | None:
    """Return when a file was last written; None if it doesn't exist."""
    try:
        return path.stat().st_mtime
    except OSError:
        return None
