"""An archive is loaded whole or not at all: every member against its recorded SHA-256."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator
from pathlib import Path

import msgspec

RECORD = "digests.json"
UNRECORDED = (RECORD, "MAR-INF", "model.sig")


class ArchiveCorrupt(RuntimeError):
    """A member is missing, isn't the one that was proven, or wasn't there then."""


def file_digest(path: Path) -> str:
    """Hex SHA-256 of one file."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def strangers(folder: Path, recorded: Collection[str]) -> Iterator[str]:
    """Files that nobody vouches for; Python's own caches are made here when the archive's code is imported."""
    for path in folder.rglob("*"):
        name = path.relative_to(folder)
        unrecorded = name.parts[0] in UNRECORDED or "__pycache__" in name.parts
        if path.is_file() and not unrecorded and name.as_posix() not in recorded:
            yield name.as_posix()


def check_digests(folder: Path) -> int:
    """Check all members that `digests.json` records; the number checked, or ArchiveCorrupt with every fault."""
    recorded = msgspec.json.decode((folder / RECORD).read_bytes(), type=dict[str, str])
    faults = [f"{name} is not recorded" for name in sorted(strangers(folder, recorded))]
    for name, digest in recorded.items():
        path = folder / name
        if not path.is_file():
            faults.append(f"{name} is missing")
        elif file_digest(path) != digest:
            faults.append(f"{name} differs from its recorded digest")
    if faults:
        raise ArchiveCorrupt("; ".join(faults))
    return len(recorded)
