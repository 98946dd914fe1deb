"""The members of a torch-model-archiver archive: a zip, a tarball or a folder, read safely and never run.

These are the archiver's formats (`model_archiver/model_packaging_utils.py` of torch-model-archiver 0.12): `default` and
`zip-store` write a zip with the manifest in `MAR-INF/`, `tgz` and `no-archive` put everything below a folder that has
the model's name.
"""

from __future__ import annotations

import os
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from onnxserve.archive.read import MAX_BYTES, MAX_MEMBERS, MAX_RATIO, name_faults, unsafe_members
from onnxserve.archive.write import digests
from onnxserve.errors import ArchiveError
from onnxserve_handlers.trust.digests import CACHES, MANIFEST, content_digest, file_digest

ARCHIVER_FIX = "name an archive that torch-model-archiver wrote: .mar, .tar.gz, or a folder with MAR-INF/MANIFEST.json"
HIDDEN = "."


@dataclass(frozen=True)
class Contents:
    """The bytes of all members by name, the manifest among them, and the SHA-256 of what was read.

    `dropped` are members that are left out: compiled code beside its source, and what lies outside the model's folder.
    """

    members: dict[str, bytes]
    sha256: str
    dropped: tuple[str, ...]


def read_members(path: Path) -> Contents:
    """Read an archive of any format; ArchiveError if it isn't one, is damaged or is unsafe."""
    if path.is_dir():
        return _rooted(path, dict(_from_folder(path)), "")
    if not path.is_file():
        raise ArchiveError("there is no such archive", where=str(path), fix=ARCHIVER_FIX)
    if zipfile.is_zipfile(path):
        return _rooted(path, dict(_from_zip(path)), file_digest(path))
    if tarfile.is_tarfile(path):
        return _rooted(path, dict(_from_tar(path)), file_digest(path))
    raise ArchiveError("it is neither a zip nor a tarball nor a folder", where=str(path), fix=ARCHIVER_FIX)


def _from_zip(path: Path) -> Iterator[tuple[str, bytes]]:
    # Its layout needn't be canonical: what the directory says is taken, and written anew.
    try:
        with zipfile.ZipFile(path) as archive:
            infos = [info for info in archive.infolist() if not info.is_dir() and not _is_cache(info.filename)]
            if faults := unsafe_members(infos):
                raise _unsafe(path, faults)
            for info in infos:
                yield str(PurePosixPath(info.filename)), archive.read(info)
    except ArchiveError:
        raise
    except Exception as error:  # zlib, struct and zipfile each have their own error for damaged bytes
        raise ArchiveError(f"the zip is damaged: {error}", where=str(path)) from error


def _from_tar(path: Path) -> Iterator[tuple[str, bytes]]:
    limit = min(MAX_BYTES, max(path.stat().st_size, 1024) * MAX_RATIO)
    total = count = 0
    try:
        with tarfile.open(path) as archive:
            for info in archive:
                total, count = total + info.size, count + 1
                if total > limit or count > MAX_MEMBERS:
                    raise _unsafe(path, [f"more than {limit} bytes or {MAX_MEMBERS} members unpacked"])
                if info.isdir() or _is_cache(info.name):
                    continue
                stream = archive.extractfile(info) if info.isfile() else None
                if stream is None:
                    raise _unsafe(path, [f"{info.name!r} is neither file nor folder"])
                yield _safe_name(path, info.name), stream.read()
    except (tarfile.TarError, zlib.error, OSError, EOFError) as error:
        raise ArchiveError(f"the tarball is damaged: {error}", where=str(path)) from error


def _from_folder(folder: Path) -> Iterator[tuple[str, bytes]]:
    total = 0
    for parent, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if name != CACHES and not name.startswith(HIDDEN))
        for name in [*files, *folders]:
            path = Path(parent) / name
            if path.is_symlink() or not (path.is_file() or path.is_dir()):
                raise _unsafe(folder, [f"{path.relative_to(folder)} is neither file nor folder"])
        for name in sorted(files):
            path = Path(parent) / name
            total += path.stat().st_size
            if total > MAX_BYTES:
                raise _unsafe(folder, [f"more than {MAX_BYTES} bytes"])
            yield _safe_name(folder, path.relative_to(folder).as_posix()), path.read_bytes()


def _is_cache(name: str) -> bool:
    return CACHES in PurePosixPath(name).parts


def _safe_name(path: Path, name: str) -> str:
    if faults := [f"{name!r} {fault}" for fault in name_faults(name)]:
        raise _unsafe(path, faults)
    return str(PurePosixPath(name))


def _unsafe(path: Path, faults: list[str]) -> ArchiveError:
    return ArchiveError("unsafe archive: " + "; ".join(faults[:5]), where=str(path), fix="do not load it")


def _rooted(path: Path, members: dict[str, bytes], sha256: str) -> Contents:
    """Name the members relative to the folder that has the manifest."""
    places = sorted((name for name in members if f"/{name}".endswith(f"/{MANIFEST}")), key=len)
    if not places:
        raise ArchiveError(f"{MANIFEST} is missing", where=str(path), fix=ARCHIVER_FIX)
    root = places[0].removesuffix(MANIFEST)
    kept = {name.removeprefix(root): content for name, content in members.items() if name.startswith(root)}
    dropped = tuple(sorted(name for name in members if not name.startswith(root)))
    return Contents(kept, sha256 or content_digest(digests(kept)), dropped)
