"""A graph that is encrypted at rest: it is decrypted into memory, never onto a disk.

`onnxserve.archive` imports this module, which imports `pyrage` alone, and only when there is something to decrypt.
"""

from __future__ import annotations

import os
from pathlib import Path

IDENTITY = "ONNXSERVE_IDENTITY"  # path of a file with an age identity
MODEL = "model.onnx"
SUFFIX = ".age"


class ArchiveSealed(RuntimeError):
    """The archive is encrypted and this process can't open it."""


def read_model(folder: Path) -> Path | bytes:
    """The graph's path, or its bytes where it was encrypted."""
    if (folder / MODEL).is_file():
        return folder / MODEL
    sealed = folder / (MODEL + SUFFIX)
    return decrypted(sealed.read_bytes(), sealed.name)


def decrypted(content: bytes, name: str) -> bytes:
    """The plain bytes of a member (https://age-encryption.org/v1); ArchiveSealed without the identity."""
    place = os.environ.get(IDENTITY)
    if not place:
        raise ArchiveSealed(f"{name} is encrypted: set {IDENTITY} to the file with your age identity")
    try:
        import pyrage
    except ModuleNotFoundError as error:
        raise ArchiveSealed(f"{name} is encrypted, but pyrage is not installed: pip install pyrage") from error
    try:
        text = Path(place).read_text(encoding="utf-8")
        keys = [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#")]
        identities = [pyrage.x25519.Identity.from_str(line) for line in keys]
        return bytes(pyrage.decrypt(content, identities))
    except Exception as error:
        raise ArchiveSealed(f"{name} can't be decrypted with {place}: {error}") from error
