"""How an archive gets to a running server and stays there, and how it leaves."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from pathlib import Path

from onnxserve.archive import (
    Checked,
    Stores,
    check_archive,
    enter_store,
    file_digest,
    read_version,
    writable,
)
from onnxserve.archive.store import STAGED, check_name
from onnxserve.errors import ArchiveError, OnnxserveError, ReleaseError
from onnxserve.torchserve.model_version import version_key

NEVER_CHANGES = "a version never changes: raise it"
READ_ONLY_FIX = "change the store where it comes from, and start the server again"


@dataclass(frozen=True)
class StagedArchive:
    """An archive on its way: what was checked of it, and the name by which TorchServe finds these very bytes."""

    checked: Checked
    file: str


@contextlib.contextmanager
def entering(archive: Path, stores: Stores) -> Iterator[StagedArchive]:
    """A verified copy in the server's store, which is in both stores under the archive's name if the block succeeds.

    ArchiveError or ReleaseError before that if the archive doesn't hold, a store has another of its name or version, or
    can't be written.
    """
    check_file(archive)
    with ExitStack() as staged:
        copy = stage(archive, stores, stores.served, staged)
        checked = check_copy(copy, archive)
        check_known(checked, archive.name, stores)
        moves = [(copy, stores.served / archive.name)]
        kept = stores.kept / archive.name
        if stores.kept != stores.served and not kept.is_file():
            moves.append((stage(copy, stores, stores.kept, staged, archive.stem), kept))
        yield StagedArchive(checked, copy.name)
        for source, target in moves:
            with changing(stores, target.parent):
                source.replace(target)


def check_file(archive: Path) -> None:
    """ArchiveError if there is none, or the next start would not serve one of this name."""
    if not archive.is_file():
        raise ArchiveError("there is no such archive", where=str(archive), fix="onnxserve export models/NAME makes one")
    try:
        check_name(archive)
    except ArchiveError as error:
        raise ArchiveError(error.what, where=str(archive), fix="name the file MODEL-VERSION.mar") from error


def stage(archive: Path, stores: Stores, store: Path, staged: ExitStack, stem: str = "") -> Path:
    """A copy under a name of its own, which is removed with the stack; ReleaseError if the store can't be written."""
    name = (stem or archive.stem) + STAGED
    try:
        with changing(stores, store):
            copy = enter_store(archive, store, name)
    except OSError as error:
        raise ReleaseError(
            f"the store can't be written: {error.strerror}", where=str(store), fix=READ_ONLY_FIX
        ) from error
    staged.callback(discard, stores, copy)
    return copy


def changing(stores: Stores, store: Path) -> AbstractContextManager[None]:
    """The server's own store is writable only while it is changed."""
    return writable(store) if store == stores.served != stores.kept else contextlib.nullcontext()


def discard(stores: Stores, path: Path) -> None:
    """Remove a file that has not moved on."""
    if path.is_file():
        with changing(stores, path.parent):
            path.unlink(missing_ok=True)


def check_copy(copy: Path, archive: Path) -> Checked:
    """`check_archive` of the copy, in terms of the archive that its owner knows."""
    try:
        return check_archive(copy)
    except ArchiveError as error:
        raise ArchiveError(error.what, where=str(archive), fix=error.fix) from error


def check_known(checked: Checked, file: str, stores: Stores) -> None:
    """ReleaseError if other bytes have this name or this version already."""
    for store in (stores.kept, stores.served):
        if (path := store / file).is_file() and file_digest(path) != checked.sha256:
            raise ReleaseError(f"the store has another {file}", where=str(path), fix=NEVER_CHANGES)
    known = stored_versions(stores.served).get(checked.name, {}).get(checked.version, checked.sha256)
    if known != checked.sha256:
        what = f"the server has another {checked.name} {checked.version}"
        raise ReleaseError(what, where=str(stores.served), fix=NEVER_CHANGES)


def check_removable(stores: Stores, file: str) -> None:
    """ReleaseError if an archive can't be taken out of the store, from where the next start would load it again."""
    if (stores.kept / file).is_file() and not os.access(stores.kept, os.W_OK):
        raise ReleaseError(
            "the store can't be written, so the next start would load the version again",
            where=str(stores.kept),
            fix=READ_ONLY_FIX,
        )


def leave(stores: Stores, file: str) -> None:
    """Keep an archive as `….mar.retired`, which no start loads; the server's copy is removed."""
    if stores.kept != stores.served:
        discard(stores, stores.served / file)
    with contextlib.suppress(FileNotFoundError):
        (stores.kept / file).rename(stores.kept / f"{file}.retired")


def archive_of(store: Path, url: str) -> Path:
    """The archive behind what TorchServe calls its URL."""
    return store / (url.removesuffix(STAGED) + ".mar" if url.endswith(STAGED) else url)


def stored_versions(store: Path) -> dict[str, dict[str, str]]:
    """Models of a store, their versions oldest first, with the digests of their archives, whoever made them.

    What can't be read is left out.
    """
    found: dict[str, dict[str, str]] = {}
    for path in sorted(store.glob("*.mar")):
        if path.name.endswith(STAGED):
            continue
        with contextlib.suppress(OnnxserveError):
            name, version = read_version(path)
            found.setdefault(name, {})[version] = file_digest(path)
    return {
        name: dict(sorted(versions.items(), key=lambda pair: version_key(pair[0]))) for name, versions in found.items()
    }


def clear_staged(store: Path) -> list[Path]:
    """Remove archives whose registration was interrupted, before a server would load them; their paths."""
    left = []
    for path in sorted(store.glob(f"*{STAGED}")):
        with contextlib.suppress(OSError):  # of a store that is read-only now; it is refused as unfinished
            path.unlink(missing_ok=True)
            left.append(path)
    return left
