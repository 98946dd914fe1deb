"""Where a public key is configured, nothing loads that its owner didn't sign."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

KEY = "ONNXSERVE_PUBLIC_KEY"  # path of a PEM file; not in the archive, which could then vouch for itself
SIGNATURE = "model.sig"


class ArchiveUntrusted(RuntimeError):
    """No signature, or one that doesn't hold."""


def check_signature(folder: Path) -> bool:
    """Whether a key is configured and the folder's signature holds; ArchiveUntrusted when it doesn't.

    The format is OpenSSF model signing's, https://github.com/sigstore/model-transparency.
    """
    key = os.environ.get(KEY)
    if not key:
        return False
    try:
        import model_signing
    except ModuleNotFoundError as error:
        raise ArchiveUntrusted(f"{KEY} is set, but {error.name} is not installed: pip install model-signing") from error
    if not (folder / SIGNATURE).is_file():
        raise ArchiveUntrusted(f"{KEY} is set, but the archive is not signed")
    # Python writes its caches when it imports the archive's code; check_digests has refused other strangers.
    caches = [path for path in folder.rglob("__pycache__") if path.is_dir()]
    signing: Any = model_signing  # it is typed in parts only
    ignored = signing.hashing.Config().set_ignored_paths(paths=[folder / SIGNATURE, *caches], ignore_git_paths=False)
    verifier = signing.verifying.Config().use_elliptic_key_verifier(public_key=key).set_hashing_config(ignored)
    try:
        verifier.verify(folder, folder / SIGNATURE)
    except Exception as error:
        # Every library below has its own error for a signature that doesn't hold.
        raise ArchiveUntrusted(f"the signature does not hold: {str(error) or type(error).__name__}") from error
    return True
