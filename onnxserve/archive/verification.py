"""The check of an archive's members against their record and signature, before it is served or rewritten."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path
from typing import Any

from onnxserve.errors import ArchiveError
from onnxserve_handlers.trust import signing
from onnxserve_handlers.trust.digests import RECORD, SIGNING_FILE, ArchiveCorrupt, check_digests, check_record
from onnxserve_handlers.trust.signing import KEY, ArchiveUntrusted, check_trusted

from .content import member_digests
from .read import contents, member, open_archive, unpack


def configured_keys() -> tuple[Path, ...]:
    """Return the public keys of `ONNXSERVE_PUBLIC_KEY`; none if it is empty, ArchiveError if it names no key."""
    try:
        return signing.configured_keys()
    except ArchiveUntrusted as error:
        fix = "put a public key there, or unset the variable"
        raise ArchiveError(str(error), where=os.environ.get(KEY, ""), fix=fix) from error


def check_content(path: Path, *public_keys: Path) -> int:
    """Read every member of any archive; return the number that `digests.json` records, 0 without that file.

    ArchiveError where a member is damaged or isn't what is recorded, the signature, if keys are given, doesn't hold, or
    the archive is revoked.
    """
    with open_archive(path) as archive:
        digests = member_digests(archive)
        check_trusted_members(archive, digests, *public_keys)
        record = member(archive, RECORD) if RECORD in digests else None
    if record is None:
        return 0
    try:
        return check_record(record, digests)
    except ArchiveCorrupt as error:
        raise ArchiveError(str(error), where=str(path), fix="fetch or export the archive again") from error


def check_signing(path: Path, *public_keys: Path) -> None:
    """Raise ArchiveError unless one of these keys signed the whole archive."""
    with open_archive(path) as archive:
        check_trusted_members(archive, member_digests(archive), *public_keys)


def check_trusted_members(archive: zipfile.ZipFile, digests: dict[str, str], *public_keys: Path) -> None:
    """Raise ArchiveError for a revoked archive or key, and for members that no owner of the keys signed."""
    path = Path(str(archive.filename))
    if public_keys and SIGNING_FILE not in digests:
        fix = "onnxserve archive sign ARCHIVE --key signing.pem"
        raise ArchiveError("the archive is not signed", where=str(path), fix=fix)
    signature = member(archive, SIGNING_FILE) if SIGNING_FILE in digests else None
    try:
        check_trusted(signature, public_keys, digests)
    except ArchiveUntrusted as error:
        fix = "do not load the archive"
        if public_keys:
            fix = f"check that the key is the signer's, {', '.join(map(str, public_keys))}; else {fix}"
        raise ArchiveError(str(error), where=str(path), fix=fix) from error


def unpack_trusted(path: Path, folder: Path) -> None:
    """Unpack an archive and check it as a worker does, before any of it runs; ArchiveError if a check fails."""
    unpack(path, folder)
    try:
        signing.check_signing(folder, caches=False)
        if (folder / RECORD).is_file():
            check_digests(folder, caches=False)
    except (ArchiveUntrusted, ArchiveCorrupt) as error:
        raise ArchiveError(str(error), where=str(path), fix="do not load the archive") from error


def trusted_contents(path: Path, *, unsigned: bool = False) -> tuple[dict[str, bytes], dict[str, Any]]:
    """Return members and manifest of an archive that is to be rewritten, with new digests and maybe a new signature.

    ArchiveError unless it holds what it records and, where public keys are configured, what their owners signed;
    with `unsigned` it may lack a signature, but not have another's.
    """
    keys = configured_keys()
    if unsigned:
        with open_archive(path) as archive:
            keys = keys if SIGNING_FILE in archive.namelist() else ()
    check_content(path, *keys)
    members, manifest, _ = contents(path)
    return members, manifest
