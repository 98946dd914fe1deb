"""Folders for temporary files; those of a process that was killed are removed by the next one that makes one."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
import weakref
from functools import cache
from pathlib import Path
from types import TracebackType

from .file_lock import try_lock

NEW, OWNED = "onnxserve-new-", "onnxserve-tmp-"


class Scratch:
    """A folder of this process among the machine's temporary files, until `remove`, or as long as this object.

    The process holds a lock on the folder, which the kernel releases when the process ends, even by SIGKILL. A folder
    gets the name by which other processes find it once it is locked, so one of that name without a lock has no owner.
    """

    def __init__(self) -> None:
        remove_ownerless(Path(tempfile.gettempdir()))
        self.path = Path(tempfile.mkdtemp(prefix=NEW))
        descriptor = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        with contextlib.suppress(OSError):  # a file system without locks: nobody else removes it then
            if try_lock(descriptor):
                self.path = self.path.rename(self.path.with_name(self.path.name.replace(NEW, OWNED, 1)))
        self.remove = weakref.finalize(self, _remove, self.path, descriptor, os.getpid())

    def __enter__(self) -> Path:
        return self.path

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.remove()


def _remove(path: Path, descriptor: int, owner: int) -> None:
    if os.getpid() == owner:  # a copy of the program, such as a worker of multiprocessing, may end before it
        shutil.rmtree(path, ignore_errors=True)
    os.close(descriptor)


@cache
def remove_ownerless(folder: Path) -> None:
    """Remove what killed processes of this user left in the folder of temporary files, once in a process."""
    for path in folder.glob(f"{OWNED}*"):
        with contextlib.suppress(OSError):  # another process removes it too
            descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
            try:
                if os.fstat(descriptor).st_uid == os.geteuid() and try_lock(descriptor):
                    shutil.rmtree(path, ignore_errors=True)
            finally:
                os.close(descriptor)
