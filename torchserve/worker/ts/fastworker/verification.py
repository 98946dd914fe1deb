"""Verifies an unpacked archive before anything in it is imported, however TorchServe was started."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from onnxserve_handlers.trust.digests import MANIFEST, RECORD, check_digests
from onnxserve_handlers.trust.signing import KEY, ArchiveUntrusted, check_signing, configured_keys

PATH = "PYTHONPATH"


def verify_folder(folder: Path, handler: str) -> bool:
    """Return whether the folder was verified: against its signing or, without a public key, against its digests.

    An archive that other tools made has no digests; without a key it is accepted unverified. Raises ArchiveUntrusted
    or ArchiveCorrupt, also for a revoked archive.
    """
    if configured_keys():
        check_path()
        # Handlers of older archives expect the path of one key here.
        os.environ[KEY] = str(check_signing(folder, caches=False))
        check_handler(folder, handler)
        return True
    check_signing(folder, caches=False)  # no key is configured, but the archive may be revoked
    if (folder / RECORD).is_file():
        check_digests(folder, caches=False)
        return True
    return False


def check_path() -> None:
    """Raise ArchiveUntrusted if PYTHONPATH is set: Python may then have imported from the archive before we run."""
    if os.environ.get(PATH):
        raise ArchiveUntrusted(
            f"{KEY} is set, but so is {PATH}, by which an archive runs code before it is verified: "
            f"set blacklist_env_vars={PATH} in config.properties"
        )


def check_handler(folder: Path, handler: str) -> None:
    """Raise ArchiveUntrusted for another handler than the signed one: a registration may name any."""
    signed = json.loads((folder / MANIFEST).read_bytes())["model"]["handler"]
    if handler != signed:
        raise ArchiveUntrusted(f"the archive was signed with handler {signed!r}, and registered with {handler!r}")


def open_folder(folder: Path, *, verified: bool) -> None:
    """Make the archive's code importable, as TorchServe does with PYTHONPATH; in a verified one no caches are written.

    Python runs a cache in place of its source, so a folder with caches isn't the recorded one.
    """
    if verified:
        sys.dont_write_bytecode = True
        os.environ["PYTHONDONTWRITEBYTECODE"] = "1"  # for processes that a handler starts
    # A model that was registered as a folder is a link; TorchServe installs its dependencies beside the link.
    paths = [str(folder.resolve()), *([str(folder.parent)] if folder.is_symlink() else [])]
    sys.path[:0] = [path for path in paths if path not in sys.path]
    before = os.environ.get(PATH)
    os.environ[PATH] = os.pathsep.join([*paths, *([before] if before else [])])
