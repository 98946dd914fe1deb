"""The run folder: sockets and records of one running server, for its user alone."""

from __future__ import annotations

import contextlib
import fcntl
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from onnxserve.errors import ServerError

SOCKET_BYTES = 107  # sun_path of unix(7), less its closing zero
LOCK = "lock"


def make_run_folder(run: Path) -> None:
    """Create `run` with mode 0700; ServerError if another user could have placed it there."""
    try:
        run.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = run.lstat()
    except OSError as error:
        raise ServerError(
            f"can't create the run folder: {error.strerror}", where=str(run), fix="--state DIR"
        ) from error
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid():
        raise ServerError("the run folder isn't a folder of this user", where=str(run), fix="remove it, or --state DIR")
    run.chmod(0o700)  # an older one may be open to others


def check_socket_path(path: Path) -> None:
    """ServerError if a unix socket can't have this path."""
    size = len(os.fsencode(path))
    if size > SOCKET_BYTES:
        raise ServerError(
            f"this path is too long for a socket: {size} bytes, at most {SOCKET_BYTES}",
            where=str(path),
            fix="choose a state folder with a shorter path: --state DIR",
        )


def run_folder_is_locked(run: Path) -> bool:
    """Whether a supervisor runs with this run folder."""
    try:
        descriptor = os.open(run / LOCK, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


@contextlib.contextmanager
def lock_run_folder(run: Path) -> Iterator[None]:
    """Be the only supervisor of a run folder; ServerError names the other one. The lock ends with the process."""
    descriptor = os.open(run / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            other = os.pread(descriptor, 20, 0).decode(errors="replace").strip()
            raise ServerError(
                f"another server runs with this state folder{f' (process {other})' if other else ''}",
                where=str(run.parent),
                fix="stop it, or give this one a state folder of its own: --state DIR",
            ) from error
        with contextlib.suppress(OSError):  # a full disk
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, str(os.getpid()).encode(), 0)
        yield
    finally:
        os.close(descriptor)
