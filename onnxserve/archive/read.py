"""Safe reading of an archive that may be hostile: canonical, bounded, inside its folder, without links."""

from __future__ import annotations

import re
import stat
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import msgspec

from onnxserve.errors import ArchiveError
from onnxserve_handlers.trust.digests import (
    CACHES,
    EVIDENCE,
    MANIFEST,
    MIGRATION,
    SIGNING_FILE,
    UNRECORDED,
    file_digest,
)

from .evidence_form import check_form
from .layout import layout_faults

MAX_BYTES = 20 * 2**30
MAX_RATIO = 200
MAX_MEMBERS = 10_000
MAX_NAME = 255  # bytes
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+-]{0,127}")
MIGRATED_FIX = (
    "the archive was migrated from TorchServe and only serves; make one of ours of what was migrated: "
    "onnxserve migrate SOURCE --convert models, or where its handler is your own, onnxserve import SOURCE NAME "
    "--kind KIND --task TASK"
)
FOREIGN_FIX = "fetch or export the archive again; take over one of torch-model-archiver with: onnxserve migrate ARCHIVE"
NAME_FIX = "letters, digits and _ . + - after a letter or digit, 128 at most"


@dataclass(frozen=True)
class Summary:
    """Name, version and evidence of an archive, and the digest of its bytes."""

    path: Path
    name: str
    version: str
    sha256: str
    evidence: dict[str, Any]


def open_archive(path: Path) -> zipfile.ZipFile:
    """Open the zip after checking its layout and every member's name, kind and size; ArchiveError otherwise."""
    if not path.is_file():
        raise ArchiveError("there is no such archive", where=str(path), fix="onnxserve export models/NAME makes one")
    try:
        archive = zipfile.ZipFile(path)
    except Exception as error:  # zipfile has many, for bytes that are not as it expects
        raise ArchiveError(f"not an archive: {error}", where=str(path), fix=FOREIGN_FIX) from error
    if faults := [*unsafe_members(archive.infolist()), *layout_faults(archive)]:
        archive.close()
        raise ArchiveError("unsafe archive: " + "; ".join(faults[:5]), where=str(path), fix="do not load it")
    return archive


def unsafe_members(infos: Sequence[zipfile.ZipInfo]) -> list[str]:
    """Return each fault of the members' names, kinds and sizes as a sentence; none where all of them are safe."""
    faults = [] if len(infos) <= MAX_MEMBERS else [f"{len(infos)} members, at most {MAX_MEMBERS}"]
    total = sum(info.file_size for info in infos)
    if total > MAX_BYTES:
        faults.append(f"{total} bytes unpacked, at most {MAX_BYTES}")
    if len({PurePosixPath(info.filename) for info in infos}) != len(infos):  # `a` and `./a` are one file
        faults.append("the same member twice")
    folders = {parent for info in infos for parent in PurePosixPath(info.filename).parents}
    for info in infos:
        name = PurePosixPath(info.filename)
        faults += [f"{info.filename!r} {fault}" for fault in (*name_faults(info.filename), *_kind_faults(info))]
        if name in folders and not info.filename.endswith("/"):
            faults.append(f"{info.filename!r} is a file and a folder")
    return faults


def name_faults(text: str) -> Iterator[str]:
    """Yield each fault of a member's name."""
    name = PurePosixPath(text)
    if not name.parts or any(len(part.encode(errors="replace")) > MAX_NAME for part in name.parts):
        yield "isn't the name of a file"
    if name.is_absolute() or ".." in name.parts or "\\" in text:
        yield "leaves the folder"
    if CACHES in name.parts:
        yield "is compiled code, which would run in place of the source"


def _kind_faults(info: zipfile.ZipInfo) -> Iterator[str]:
    kind = stat.S_IFMT(info.external_attr >> 16)
    if kind == stat.S_IFLNK:
        yield "is a link"
    elif kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        yield "is neither file nor folder"
    if info.file_size > MAX_RATIO * max(info.compress_size, 1024):
        yield f"expands more than {MAX_RATIO} times"


def member(archive: zipfile.ZipFile, name: str) -> bytes:
    """Return a member's bytes; ArchiveError if it is missing or damaged."""
    try:
        return archive.read(name)
    except KeyError as error:
        fix = MIGRATED_FIX if MIGRATION in archive.namelist() else FOREIGN_FIX
        raise ArchiveError(f"{name} is missing", where=str(archive.filename), fix=fix) from error
    except Exception as error:
        # zlib, struct and zipfile each have their own error for damaged bytes.
        raise ArchiveError(f"{name} is damaged: {error}", where=str(archive.filename), fix=FOREIGN_FIX) from error


def contents(path: Path) -> tuple[dict[str, bytes], dict[str, Any], bytes | None]:
    """Return the members that the digests cover, the manifest, and the signature if there is one.

    ArchiveError for an archive that isn't safe, or whose manifest is damaged.
    """
    with open_archive(path) as archive:
        names = [info.filename for info in archive.infolist() if not info.is_dir()]
        members = {name: member(archive, name) for name in names if name not in UNRECORDED}
        signature = member(archive, SIGNING_FILE) if SIGNING_FILE in names else None
        try:
            manifest = msgspec.json.decode(member(archive, MANIFEST), type=dict[str, Any])
        except msgspec.DecodeError as error:
            raise ArchiveError(f"{MANIFEST} is damaged: {error}", where=str(path)) from error
    return members, manifest, signature


def unpack(path: Path, folder: Path) -> None:
    """Unpack a safe archive into `folder`; ArchiveError for one that isn't safe."""
    with open_archive(path) as archive:
        for info in archive.infolist():
            if info.is_dir():
                continue
            target = folder / info.filename
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(member(archive, info.filename))


def read_version(path: Path) -> tuple[str, str]:
    """Return model and version by any archive's manifest; ArchiveError if they can't be served.

    The names are torch-model-archiver's: they become parts of paths and of configurations.
    """
    with open_archive(path) as archive:
        return version_of(archive)


def version_of(archive: zipfile.ZipFile) -> tuple[str, str]:
    """Return model and version of an open archive, with the errors of `read_version`."""
    where = str(archive.filename)
    try:
        model = msgspec.json.decode(member(archive, MANIFEST))["model"]
        names = str(model["modelName"]), str(model.get("modelVersion") or "1.0")
    except (msgspec.DecodeError, KeyError, TypeError, AttributeError) as error:
        raise ArchiveError(f"{MANIFEST} names no model: {error}", where=where) from error
    for name in names:
        if not NAME.fullmatch(name):
            raise ArchiveError(f"{name!r} isn't a valid name of a model or a version", where=where, fix=NAME_FIX)
    return names


def summarise(path: Path) -> Summary:
    """Return name, version, digest and evidence of an archive; ArchiveError if it isn't one of ours."""
    with open_archive(path) as archive:
        name, version = version_of(archive)
        try:
            evidence = msgspec.json.decode(member(archive, EVIDENCE), type=dict[str, Any])
        except msgspec.DecodeError as error:
            raise ArchiveError(f"not an archive of onnxserve: {error}", where=str(path)) from error
    check_form(evidence, str(path))
    return Summary(path, name, version, file_digest(path), evidence)
