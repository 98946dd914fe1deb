"""An archive is loaded whole or not at all: every member is compared with its recorded SHA-256.

The worker and `onnxserve.archive` import this module too, so it needs nothing but the standard library. The same code
checks an unpacked folder for our worker, a zip file for `onnxserve`, and its own archive under TorchServe's worker.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path

RECORD = "digests.json"
MANIFEST = "MAR-INF/MANIFEST.json"
SIGNING_FILE = "model.sig"
EVIDENCE = "evidence.json"
MIGRATION = "migration.json"  # of an archive whose handler was written for TorchServe, not for ours
# The record doesn't list itself, the manifest (torch-model-archiver writes its own), or the signing of all members.
UNRECORDED = frozenset({RECORD, MANIFEST, SIGNING_FILE})
CACHES = "__pycache__"


class ArchiveCorrupt(RuntimeError):
    """A member is missing, differs from the proven one, or was added later."""


def file_digest(path: Path) -> str:
    """Return the hex SHA-256 of one file."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def folder_digests(folder: Path, *, caches: bool = True) -> dict[str, str]:
    """Return the hex SHA-256 of every file of an unpacked archive, by name relative to `folder`.

    Raises ArchiveCorrupt for links and other irregular files. With `caches`, folders `__pycache__` are left out: Python
    writes them beside code that it has already run.
    """
    return {path.relative_to(folder).as_posix(): file_digest(path) for path in _files(folder, caches=caches)}


def content_digest(digests: Mapping[str, str]) -> str:
    """Return the hex SHA-256 of an archive's content, packed or unpacked; revocations name archives by it.

    It is taken over the members' digests by name. The signing file is left out.
    """
    lines = "".join(f"{digests[name]}  {name}\n" for name in sorted(digests) if name != SIGNING_FILE)
    return hashlib.sha256(lines.encode()).hexdigest()


def _files(folder: Path, *, caches: bool) -> Iterator[Path]:
    for path in sorted(folder.iterdir()):
        if path.is_symlink() or not (path.is_dir() or path.is_file()):
            raise ArchiveCorrupt(f"{path.name} is neither a file nor a folder")
        if path.is_file():
            yield path
        elif not (caches and path.name == CACHES):
            yield from _files(path, caches=caches)


def check_record(record: bytes, digests: Mapping[str, str]) -> int:
    """Compare members' digests with the content of `digests.json`, and return how many members it records.

    Raises ArchiveCorrupt, whose message lists every difference.
    """
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
    """Check an unpacked archive with `check_record`; `caches` as for `folder_digests`."""
    return check_record((folder / RECORD).read_bytes(), folder_digests(folder, caches=caches))
