"""The graph of an unpacked archive, decrypted where needed.

An encrypted graph is decrypted into memory and never written to a disk. `onnxserve.archive` imports this module too. It
imports `pyrage` only when there is something to decrypt. The format is age's, https://age-encryption.org/v1.
"""

from __future__ import annotations

import os
from pathlib import Path

IDENTITY = "ONNXSERVE_IDENTITY"  # path of a file with an age identity
MODEL = "model.onnx"
WEIGHTS = "weights-"  # the name of a file with a large graph's weights begins so
SUFFIX = ".age"


class ArchiveEncrypted(RuntimeError):
    """The archive is encrypted, and this process can't decrypt it."""


def read_model(folder: Path) -> Path | bytes:
    """Return the path of an unpacked archive's graph, or the graph's bytes where it is encrypted."""
    if (folder / MODEL).is_file():
        return folder / MODEL
    encrypted = folder / (MODEL + SUFFIX)
    return decrypt(encrypted.read_bytes(), encrypted.name)


def decrypt(content: bytes, name: str) -> bytes:
    """Return the plain bytes of the member `name`; raises ArchiveEncrypted without a matching identity."""
    identity_path = os.environ.get(IDENTITY)
    if not identity_path:
        raise ArchiveEncrypted(f"{name} is encrypted: set {IDENTITY} to the file with your age identity")
    try:
        import pyrage
    except ModuleNotFoundError as error:
        raise ArchiveEncrypted(f"{name} is encrypted, but pyrage is not installed: pip install pyrage") from error
    try:
        text = Path(identity_path).read_text(encoding="utf-8")
        keys = [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#")]
        identities = [pyrage.x25519.Identity.from_str(key) for key in keys]
        return bytes(pyrage.decrypt(content, identities))
    except Exception as error:
        raise ArchiveEncrypted(f"{name} can't be decrypted with {identity_path}: {error}") from error
