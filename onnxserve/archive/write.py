"""The reproducible zip: the same members give the same bytes and the same SHA-256."""

from __future__ import annotations

import hashlib
import os
import zipfile
from pathlib import Path

import msgspec

from onnxserve_handlers.trust.digests import MANIFEST, RECORD, SIGNING_FILE, file_digest

EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest date that a zip can hold
# Owner may write, all may read; fixed, so that the umask of the exporting machine doesn't show.
MODE = 0o100644 << 16


def pretty(document: object) -> bytes:
    """Encode indented JSON with sorted keys, which is readable and has a stable digest."""
    return msgspec.json.format(msgspec.json.encode(document, order="deterministic"), indent=2) + b"\n"


def digests(members: dict[str, bytes]) -> dict[str, str]:
    """Return the hex SHA-256 of each member by name."""
    return {name: hashlib.sha256(content).hexdigest() for name, content in sorted(members.items())}


def write_archive(
    target: Path, members: dict[str, bytes], manifest: dict[str, object], signature: bytes | None = None
) -> str:
    """Write `members`, their digests, the manifest and a signature to `target`; return the archive's SHA-256.

    Members are stored, not compressed: weights hardly shrink, and so the bytes are the same whatever zlib
    there is, and an archive can be checked to the last byte by writing it again.
    """
    whole = {**members, RECORD: pretty(digests(members)), MANIFEST: pretty(manifest)}
    if signature is not None:
        whole[SIGNING_FILE] = signature
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_suffix(f".{os.getpid()}.part")
    try:
        with zipfile.ZipFile(partial, "w") as archive:
            for name in sorted(whole):
                info = zipfile.ZipInfo(name, EPOCH)
                info.external_attr = MODE
                info.create_system = 3  # Unix, whatever the exporting machine is
                archive.writestr(info, whole[name], zipfile.ZIP_STORED)
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)
    return file_digest(target)
