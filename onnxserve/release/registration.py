"""Adding an archive to the store of a running server, and removing it again."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from pathlib import Path

from onnxserve.archive import (
    CheckResult,
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

NEVER_CHANGES = "a version never changes: export the archive with a higher version"
READ_ONLY_FIX = "change the store at its source, then start the server again"


@dataclass(frozen=True)
class StagedArchive:
    """A verified copy of an archive; `file` is the name by which TorchServe finds exactly these bytes."""

    checked: CheckResult
    file: str


@contextlib.contextmanager
def staged_archive(archive: Path, stores: Stores) -> Iterator[StagedArchive]:
    """Put a verified copy into the server's store; it gets the archive's name in both stores if the block succeeds.

    ArchiveError or ReleaseError before that if verification fails, if a store has other bytes under this name or
    version, or if a store can't be written.
    """
    check_file(archive)
    with ExitStack() as cleanup:
        copy = copy_in(archive, stores, stores.server, cleanup)
        checked = check_copy(copy, archive)
        check_known(checked, archive.name, stores)
        moves = [(copy, stores.server / archive.name)]
        kept = stores.user / archive.name
        if stores.user != stores.server and not kept.is_file():
            moves.append((copy_in(copy, stores, stores.user, cleanup, archive.stem), kept))
        yield StagedArchive(checked, copy.name)
        for source, target in moves:
            with writable_store(stores, target.parent):
                source.replace(target)


def check_file(archive: Path) -> None:
    """Raise ArchiveError if the file is missing or a folder, or has a name that the next start wouldn't serve."""
    if archive.is_dir():
        is_model = (archive / "model.toml").is_file()
        fix = f"onnxserve export {archive} makes its archive" if is_model else "name the .mar file"
        raise ArchiveError("it is a folder, and no archive", where=str(archive), fix=fix)
    if not archive.is_file():
        raise ArchiveError("there is no such archive", where=str(archive), fix="onnxserve export models/NAME makes one")
    try:
        check_name(archive)
    except ArchiveError as error:
        raise ArchiveError(error.what, where=str(archive), fix="name the file MODEL-VERSION.mar") from error


def copy_in(archive: Path, stores: Stores, store: Path, cleanup: ExitStack, stem: str = "") -> Path:
    """Copy the archive under a unique name; `cleanup` removes it. ReleaseError if the store can't be written."""
    name = (stem or archive.stem) + STAGED
    try:
        with writable_store(stores, store):
            copy = enter_store(archive, store, name)
    except OSError as error:
        raise ReleaseError(
            f"the store can't be written: {error.strerror}", where=str(store), fix=READ_ONLY_FIX
        ) from error
    cleanup.callback(discard, stores, copy)
    return copy


def writable_store(stores: Stores, store: Path) -> AbstractContextManager[None]:
    """Make the server's own store writable within the block; the user's store is left as it is."""
    return writable(store) if store == stores.server != stores.user else contextlib.nullcontext()


def discard(stores: Stores, path: Path) -> None:
    """Remove a staged file unless it was renamed."""
    if path.is_file():
        with writable_store(stores, path.parent):
            path.unlink(missing_ok=True)


def check_copy(copy: Path, archive: Path) -> CheckResult:
    """Run `check_archive` on the copy; its errors name the user's archive."""
    try:
        return check_archive(copy)
    except ArchiveError as error:
        raise ArchiveError(error.what, where=str(archive), fix=error.fix) from error


def check_known(checked: CheckResult, file: str, stores: Stores) -> None:
    """Raise ReleaseError if other bytes already have this name or this version."""
    for store in (stores.user, stores.server):
        if (path := store / file).is_file() and file_digest(path) != checked.sha256:
            raise ReleaseError(f"the store has another {file}", where=str(path), fix=NEVER_CHANGES)
    known = stored_versions(stores.server).get(checked.name, {}).get(checked.version, checked.sha256)
    if known != checked.sha256:
        what = f"the server has another {checked.name} {checked.version}"
        raise ReleaseError(what, where=str(stores.server), fix=NEVER_CHANGES)


def check_removable(stores: Stores, file: str) -> None:
    """Raise ReleaseError if the store is read-only, since the next start would load the archive again."""
    if (stores.user / file).is_file() and not os.access(stores.user, os.W_OK):
        raise ReleaseError(
            "the store can't be written, so the next start would load the version again",
            where=str(stores.user),
            fix=READ_ONLY_FIX,
        )


def withdraw(stores: Stores, file: str) -> None:
    """Rename an archive to `….mar.retired`, which no start loads, and remove the server's copy."""
    if stores.user != stores.server:
        discard(stores, stores.server / file)
    with contextlib.suppress(FileNotFoundError):
        (stores.user / file).rename(stores.user / f"{file}.retired")


def archive_of(store: Path, url: str) -> Path:
    """Return the path of the archive that TorchServe knows by this URL."""
    return store / (url.removesuffix(STAGED) + ".mar" if url.endswith(STAGED) else url)


def stored_versions(store: Path) -> dict[str, dict[str, str]]:
    """Return the models of a store, each with its versions, oldest first, and the digests of their archives.

    Archives of other exporters are among them; files that can't be read are skipped.
    """
    models: dict[str, dict[str, str]] = {}
    for path in sorted(store.glob("*.mar")):
        if path.name.endswith(STAGED):
            continue
        with contextlib.suppress(OnnxserveError):
            name, version = read_version(path)
            models.setdefault(name, {})[version] = file_digest(path)
    return {
        name: dict(sorted(versions.items(), key=lambda pair: version_key(pair[0]))) for name, versions in models.items()
    }


def clear_staged(store: Path) -> list[Path]:
    """Remove archives whose registration was interrupted, before a server loads them; return their paths."""
    removed = []
    for path in sorted(store.glob(f"*{STAGED}")):
        with contextlib.suppress(OSError):  # the store may be read-only now; the server refuses the file as unfinished
            path.unlink(missing_ok=True)
            removed.append(path)
    return removed
