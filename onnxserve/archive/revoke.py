"""Revocation of a key or an archive: a line in the list that `ONNXSERVE_REVOKED` names."""

from __future__ import annotations

import os
from pathlib import Path

from onnxserve.errors import ArchiveError
from onnxserve_handlers.trust.digests import content_digest
from onnxserve_handlers.trust.signing import (
    REVOKED,
    ArchiveUntrusted,
    Revocations,
    public_digest,
    read_revocations,
)

from .content import member_digests
from .library import library
from .read import open_archive

SUFFIX = ".mar"


def revoked_now() -> Revocations:
    """Return the revocations of this machine; ArchiveError for a list that can't be read."""
    try:
        return read_revocations()
    except ArchiveUntrusted as error:
        fix = "nothing loads until the list can be read: mend it, or make an empty file"
        raise ArchiveError(str(error), where=os.environ.get(REVOKED, ""), fix=fix) from error


def revoke(path: Path, target: Path, reason: str = "") -> str:
    """Append an archive or a public key to a list; return the line. ArchiveError for any other file."""
    kind, digest = ("archive", archive_digest(path)) if path.name.endswith(SUFFIX) else ("key", key_digest(path))
    line = " ".join([kind, digest, *reason.split()])
    target.parent.mkdir(parents=True, exist_ok=True)
    with os.fdopen(os.open(target, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644), "rb+", buffering=0) as stream:
        end = stream.seek(0, os.SEEK_END)
        whole = end == 0 or os.pread(stream.fileno(), 1, end - 1) == b"\n"
        stream.write(f"{'' if whole else chr(10)}{line}\n".encode())  # at once: a worker may read meanwhile
        os.fsync(stream.fileno())
    return line


def archive_digest(path: Path) -> str:
    """Return the digest of an archive's content, which no signature changes."""
    with open_archive(path) as archive:
        return content_digest(member_digests(archive))


def key_digest(path: Path) -> str:
    """Return the digest of a public key in PEM, as `Signer` has it; ArchiveError for any other file."""
    library("cryptography")
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives import serialization

    try:
        public = serialization.load_pem_public_key(path.read_bytes())
    except (OSError, ValueError, UnsupportedAlgorithm) as error:
        fix = "name an archive (.mar) or a public key in PEM, as keygen writes it beside the private one"
        raise ArchiveError(f"it can't be read as a public key: {error}", where=str(path), fix=fix) from error
    return public_digest(public)
