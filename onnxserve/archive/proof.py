"""The proof rows that an archive carries."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from onnxserve.errors import ArchiveError

from .seal import PROOF, decrypt_member


def read_proof(folder: Path) -> list[dict[str, Any]]:
    """Return rows, labels and torch's outputs of an unpacked archive; ArchiveError if it has none."""
    path, sealed = folder / PROOF, folder / f"{PROOF}.age"
    content = path.read_bytes() if path.is_file() else b""
    if sealed.is_file():
        content = decrypt_member(sealed.read_bytes())
    lines = content.splitlines()
    if not lines:
        raise ArchiveError(
            "the archive carries no proof rows", where=str(folder), fix="export with quantise.proof_rows above 0"
        )
    return [msgspec.json.decode(line) for line in lines]
