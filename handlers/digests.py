"""An archive is loaded whole or not at all: every member against its recorded SHA-256."""

from __future__ import annotations

import hashlib
from pathlib import Path

import msgspec

RECORD = "digests.json"


class ArchiveCorrupt(RuntimeError):
    """A member is missing or isn't the one that was proven."""


def file_digest(path: Path) -> str:
    """Hex SHA-256 of one file."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def check_digests(folder: Path) -> int:
    """Check all members that `digests.json` records; the number checked, or ArchiveCorrupt with every fault."""
    recorded = msgspec.json.decode((folder / RECORD).read_bytes(), type=dict[str, str])
    faults = []
    for name, digest in recorded.items():
        path = folder / name
        if not path.is_file():
            faults.append(f"{name} is missing")
        elif file_digest(path) != digest:
            faults.append(f"{name} differs from its recorded digest")
    if faults:
        raise ArchiveCorrupt("; ".join(faults))
    return len(recorded)
