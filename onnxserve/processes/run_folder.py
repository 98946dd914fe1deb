"""The run folder: sockets and records of one running server, which only its user may open."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from onnxserve.errors import ServerError
from onnxserve.file_lock import try_lock

SOCKET_BYTES = 107  # sun_path of unix(7), without the final zero byte
LONGEST_NAME = "metrics-page.sock"  # of the sockets that are made in a run folder
LOCK = "lock"


def make_run_folder(run: Path) -> None:
    """Create `run` with mode 0700; ServerError if it isn't a folder of this user, or too deep for sockets in it."""
    check_socket_path(run / LONGEST_NAME)
    try:
        run.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = run.lstat()
    except OSError as error:
        raise ServerError(
            f"can't create the run folder: {error.strerror}",
            where=str(run),
            fix="choose another state folder with --state DIR",
        ) from error
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid():
        raise ServerError(
            "the run folder isn't a folder of this user",
            where=str(run),
            fix="remove it, or choose another state folder with --state DIR",
        )
    run.chmod(0o700)  # an existing folder may be open to others


def check_socket_path(path: Path) -> None:
    """Raise ServerError if the path is too long for a unix socket."""
    size = len(os.fsencode(path))
    if size > SOCKET_BYTES:
        raise ServerError(
            f"the path of a socket must have at most {SOCKET_BYTES} bytes, this one has {size}",
            where=str(path),
            fix="choose a state folder with a shorter path with --state DIR",
        )


def run_folder_is_locked(run: Path) -> bool:
    """Return whether a supervisor runs with this run folder."""
    try:
        descriptor = os.open(run / LOCK, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        return not try_lock(descriptor, shared=True)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def lock_run_folder(run: Path) -> Iterator[None]:
    """Lock the run folder for one supervisor within the block; ServerError names the process that holds it."""
    descriptor = os.open(run / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        if not try_lock(descriptor):
            other = os.pread(descriptor, 20, 0).decode(errors="replace").strip()
            raise ServerError(
                f"another server runs with this state folder{f' (process {other})' if other else ''}",
                where=str(run.parent),
                fix="stop it, or give this server its own state folder with --state DIR",
            )
        with contextlib.suppress(OSError):  # a full disk
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, str(os.getpid()).encode(), 0)
        yield
    finally:
        os.close(descriptor)
