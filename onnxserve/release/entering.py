"""How an archive gets into the store of a running server: beside the others first, among them once it is proven."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from onnxserve.archive import enter_store, summarise
from onnxserve.errors import OnnxserveError, ReleaseError
from onnxserve.management.model import version_key

SUFFIX = ".registering.mar"  # TorchServe unpacks nothing that isn't called .mar


@contextlib.contextmanager
def entering(archive: Path, store: Path, sha256: str) -> Iterator[str]:
    """The name by which TorchServe finds the archive meanwhile; in the store under its own when the block succeeds.

    ReleaseError if the store has another archive of this name.
    """
    target = store / archive.name
    if target.is_file():
        if summarise(target).sha256 != sha256:
            raise ReleaseError(
                f"the store has another {archive.name}", where=str(target), fix="a version never changes: raise it"
            )
        yield archive.name
        return
    staged = enter_store(archive, store, archive.stem + SUFFIX)
    try:
        yield staged.name
        staged.rename(target)
    except BaseException:
        staged.unlink(missing_ok=True)
        raise


def archive_of(store: Path, url: str) -> Path:
    """The archive behind what TorchServe calls its URL."""
    return store / (url.removesuffix(SUFFIX) + ".mar" if url.endswith(SUFFIX) else url)


def stored_versions(store: Path) -> dict[str, dict[str, str]]:
    """Models of a store, their versions oldest first, with the archives' digests; what can't be read is left out."""
    found: dict[str, dict[str, str]] = {}
    for path in sorted(store.glob("*.mar")):
        if path.name.endswith(SUFFIX):
            continue
        with contextlib.suppress(OnnxserveError):
            archive = summarise(path)
            found.setdefault(archive.name, {})[archive.version] = archive.sha256
    return {
        name: dict(sorted(versions.items(), key=lambda pair: version_key(pair[0]))) for name, versions in found.items()
    }


def clear_entering(store: Path) -> list[Path]:
    """Remove archives whose registration was interrupted, before a server would load them; their paths."""
    left = sorted(store.glob(f"*{SUFFIX}"))
    for path in left:
        path.unlink(missing_ok=True)
    return left
