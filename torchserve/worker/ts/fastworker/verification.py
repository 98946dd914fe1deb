"""What must hold of an unpacked archive before anything in it is imported, whoever started TorchServe."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from onnxserve_handlers.trust.digests import MANIFEST, RECORD, check_digests
from onnxserve_handlers.trust.revocation import ArchiveUntrusted
from onnxserve_handlers.trust.signing import KEY, check_signature, configured_keys

PATH = "PYTHONPATH"


def verify_folder(folder: Path, handler: str) -> bool:
    """Whether the folder holds exactly what was signed or, without a public key, what its digests record.

    False for an archive of others without digests where no key is configured; ArchiveUntrusted or ArchiveCorrupt else,
    and for what is revoked.
    """
    if configured_keys():
        check_path()
        # Handlers of older archives look for one key alone.
        os.environ[KEY] = str(check_signature(folder, caches=False))
        check_handler(folder, handler)
        return True
    check_signature(folder, caches=False)  # nobody's, but perhaps revoked
    if (folder / RECORD).is_file():
        check_digests(folder, caches=False)
        return True
    return False


def check_path() -> None:
    """ArchiveUntrusted if Python was started with the archive on its path, from where it imports before we run."""
    if os.environ.get(PATH):
        raise ArchiveUntrusted(
            f"{KEY} is set, but so is {PATH}, by which an archive runs code before it is verified: "
            f"set blacklist_env_vars={PATH} in config.properties"
        )


def check_handler(folder: Path, handler: str) -> None:
    """ArchiveUntrusted for another handler than the one that was signed: a registration may name any."""
    signed = json.loads((folder / MANIFEST).read_bytes())["model"]["handler"]
    if handler != signed:
        raise ArchiveUntrusted(f"the archive was signed with handler {signed!r}, and registered with {handler!r}")


def open_folder(folder: Path, *, verified: bool) -> None:
    """Let code be imported from the archive, as TorchServe does by PYTHONPATH; a verified one takes no caches.

    A cache is run in place of its source, so a folder that has any isn't what was recorded.
    """
    if verified:
        sys.dont_write_bytecode = True
        os.environ["PYTHONDONTWRITEBYTECODE"] = "1"  # for processes that a handler starts
    # A folder that was registered as such is a link: TorchServe installs its dependencies beside it.
    paths = [str(folder.resolve()), *([str(folder.parent)] if folder.is_symlink() else [])]
    sys.path[:0] = [path for path in paths if path not in sys.path]
    before = os.environ.get(PATH)
    os.environ[PATH] = os.pathsep.join([*paths, *([before] if before else [])])
