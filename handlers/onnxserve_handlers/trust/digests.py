"""An archive is loaded whole or not at all: every member against its recorded SHA-256.

The worker and `onnxserve.archive` import it too, so it needs nothing but the standard library: the same code judges a
folder for the worker, a zip for the server, and itself where TorchServe's own worker runs.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path

RECORD = "digests.json"
MANIFEST = "MAR-INF/MANIFEST.json"
SIGNATURE = "model.sig"
# The record itself, what torch-model-archiver writes its own way, and the signature over all.
UNRECORDED = frozenset({RECORD, MANIFEST, SIGNATURE})
CACHES = "__pycache__"


class ArchiveCorrupt(RuntimeError):
    """A member is missing, isn't the one that was proven, or wasn't there then."""


def file_digest(path: Path) -> str:
    """Hex SHA-256 of one file."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def folder_digests(folder: Path, *, caches: bool = True) -> dict[str, str]:
    """Hex SHA-256 by name of everything in an unpacked archive; ArchiveCorrupt for links and other irregular files.

    With `caches`, those that Python writes beside code that runs already are left out.
    """
    return {path.relative_to(folder).as_posix(): file_digest(path) for path in _files(folder, caches=caches)}


def content_digest(digests: Mapping[str, str]) -> str:
    """Hex SHA-256 of an archive's members by name, without the signature: what it is revoked by, packed or unpacked."""
    listed = "".join(f"{digests[name]}  {name}\n" for name in sorted(digests) if name != SIGNATURE)
    return hashlib.sha256(listed.encode()).hexdigest()


def _files(folder: Path, *, caches: bool) -> Iterator[Path]:
    for path in sorted(folder.iterdir()):
        if path.is_symlink() or not (path.is_dir() or path.is_file()):
            raise ArchiveCorrupt(f"{path.name} is neither a file nor a folder")
        if path.is_file():
            yield path
        elif not (caches and path.name == CACHES):
            yield from _files(path, caches=caches)


def check_record(record: bytes, digests: Mapping[str, str]) -> int:
    """Compare members' digests with `digests.json`; the number recorded, or ArchiveCorrupt with every fault."""
    try:
        recorded = json.loads(record)
    except (ValueError, RecursionError) as error:
        raise ArchiveCorrupt(f"{RECORD} is damaged: {error}") from error
    if not isinstance(recorded, dict):
        raise ArchiveCorrupt(f"{RECORD} is damaged: not an object")
    present = {name: digest for name, digest in digests.items() if name not in UNRECORDED}
    faults = [f"{name} is missing" for name in sorted(recorded.keys() - present.keys())]
    faults += [f"{name} is not recorded" for name in sorted(present.keys() - recorded.keys())]
    faults += [
        f"{name} differs from its recorded digest"
        for name in sorted(present.keys() & recorded.keys())
        if present[name] != recorded[name]
    ]
    if faults:
        raise ArchiveCorrupt("; ".join(faults))
    return len(recorded)


def check_digests(folder: Path, *, caches: bool = True) -> int:
    """Check an unpacked archive; `caches` as for `folder_digests`."""
    return check_record((folder / RECORD).read_bytes(), folder_digests(folder, caches=caches))
