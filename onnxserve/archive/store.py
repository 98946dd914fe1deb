"""A store of archives, and the server's own verified copy of it, which TorchServe loads.

TorchServe's management API writes what is POSTed to it into TorchServe's store. So that this is never the user's, and
so that nobody can change a file between its check and its use, `onnxserve serve` gives TorchServe a folder of its own.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import stat
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from onnxserve.errors import ArchiveError, OnnxserveError

from .read import read_version
from .verification import check_content

SUFFIX = ".mar"
STAGED = ".registering.mar"  # of an archive that is being registered: TorchServe unpacks nothing that isn't called .mar
# What else TorchServe's `load_models=all` takes for a model; it takes folders too.
LOADABLE = (".mar", ".model", ".tar.gz")
MIGRATE = "onnxserve migrate takes over an archive of TorchServe"
PARTING = ",="  # TorchServe parts its list of models here
CHUNK = 2**20


@dataclass(frozen=True)
class Stores:
    """The user's folder of archives, and the server's copy that TorchServe loads; the same for a plain TorchServe."""

    user: Path
    server: Path


@dataclass(frozen=True)
class Refusal:
    """A file that isn't served, and why."""

    file: str
    reason: str


def loadable(store: Path) -> list[Path]:
    """Return everything that TorchServe would take for a model, by name; ArchiveError if the store can't be read."""
    try:
        entries = sorted(path for path in store.iterdir() if not path.name.startswith("."))
    except OSError as error:
        fix = "name one with --store, or make it: onnxserve export models/NAME"
        raise ArchiveError(f"can't read the model store: {error.strerror}", where=str(store), fix=fix) from error
    return [path for path in entries if path.name.endswith(LOADABLE) or path.is_dir()]


def fill(stores: Stores, *public_keys: Path) -> list[Refusal]:
    """Make the server's store the verified copies of the archives in the user's; return the refused files."""
    with writable(stores.server):
        accepted, refusals = sort_out(loadable(stores.user), lambda path: admit(path, stores.server, *public_keys))
        clear(stores.server, accepted)
    return refusals


def refusals(store: Path, *public_keys: Path) -> list[Refusal]:
    """Return the files that `fill` would refuse now; copy nothing."""
    return sort_out(loadable(store), lambda path: judge(path, *public_keys))[1]


def sort_out(paths: Iterable[Path], judged: Callable[[Path], tuple[str, str]]) -> tuple[set[str], list[Refusal]]:
    """Return the files that may be served, one for each version, and why the others may not."""
    refused: list[Refusal] = []
    files: dict[tuple[str, str], str] = {}
    for path in paths:
        try:
            version = judged(path)
            if version in files:
                raise ArchiveError(f"it is {' '.join(version)}, which {files[version]} is already")
            files[version] = path.name
        except OnnxserveError as error:
            refused.append(Refusal(path.name, error.what))
        except OSError as error:
            refused.append(Refusal(path.name, f"it can't be copied: {error.strerror}"))
    return set(files.values()), refused


def judge(source: Path, *public_keys: Path) -> tuple[str, str]:
    """Return an archive's model and version; ArchiveError if it may not be served."""
    check_name(source)
    with open_regular(source):
        pass
    check_content(source, *public_keys)
    return read_version(source)


def admit(source: Path, server_store: Path, *public_keys: Path) -> tuple[str, str]:
    """Copy an archive to `server_store` and return its model and version; ArchiveError if the copy fails a check."""
    check_name(source)
    copy = server_store / f".{source.name}.part"
    copy_file(source, copy, server_store / source.name)
    try:
        check_content(copy, *public_keys)
        version = read_version(copy)
        copy.replace(server_store / source.name)
    finally:
        copy.unlink(missing_ok=True)
    return version


def check_name(source: Path) -> None:
    """Raise ArchiveError for a name that no archive of the store can have."""
    if not source.name.endswith(SUFFIX):
        raise ArchiveError(f"it isn't an archive (.mar); TorchServe would load it unverified; {MIGRATE}")
    if source.name.startswith("."):
        raise ArchiveError("a hidden file is never served")
    if source.name.endswith(STAGED):
        raise ArchiveError("its registration was interrupted")
    if set(PARTING) & set(source.name) or ".." in source.name:
        raise ArchiveError("TorchServe can't load a file whose name has `,`, `=` or `..`")


@contextlib.contextmanager
def open_regular(source: Path) -> Iterator[IO[bytes]]:
    """Open a regular file; ArchiveError if it can't be read or isn't regular."""
    # A pipe would block, and a folder isn't read: what was opened is judged, whatever the name means later.
    try:
        descriptor = os.open(source, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise ArchiveError(f"it can't be read: {error.strerror}") from error
    with os.fdopen(descriptor, "rb") as stream:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise ArchiveError(f"it isn't a regular file; TorchServe would load a folder unverified; {MIGRATE}")
        yield stream


def copy_file(source: Path, copy: Path, before: Path) -> None:
    """Copy a regular file, or rename an earlier copy that has its size and time; ArchiveError if it can't be read."""
    with open_regular(source) as stream:
        status = os.fstat(stream.fileno())
        if is_unchanged(before, status):
            before.rename(copy)
            return
        copy.unlink(missing_ok=True)
        with os.fdopen(os.open(copy, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o400), "wb") as target:
            copy_stream(stream, target)
    os.utime(copy, ns=(status.st_mtime_ns, status.st_mtime_ns))


def is_unchanged(before: Path, status: os.stat_result) -> bool:
    """Return whether an earlier copy has the size and the time of a file; it is verified again all the same."""
    with contextlib.suppress(OSError):
        copied = before.lstat()
        same = copied.st_size, copied.st_mtime_ns
        return stat.S_ISREG(copied.st_mode) and copied.st_nlink == 1 and same == (status.st_size, status.st_mtime_ns)
    return False


def copy_stream(stream: IO[bytes], target: IO[bytes]) -> None:
    """Copy everything."""
    while chunk := stream.read(CHUNK):
        target.write(chunk)


def clear(server_store: Path, files: set[str]) -> None:
    """Delete every other file: one that was retired, refused, or stored by another program."""
    for path in server_store.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        elif path.name not in files:
            path.unlink()


@contextlib.contextmanager
def writable(folder: Path) -> Iterator[None]:
    """Make the server's folder writable within the block only, so that TorchServe stores nothing there itself."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)  # one at a time, or the first to end would close it for the other
        os.fchmod(descriptor, 0o700)
        yield
    finally:
        os.fchmod(descriptor, 0o500)
        os.close(descriptor)
