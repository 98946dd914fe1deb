"""From what a person names, paths, globs, folders and URLs, to files of one kind."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import IO, Any, NamedTuple, cast

from onnxserve.errors import BatchError
from onnxserve.locations.filesystem import installation, locate, version_mark

from .part import ALBUMS, Kind, Source

SUFFIXES: dict[str, Kind] = {
    ".parquet": "parquet",
    ".pq": "parquet",
    ".arrow": "arrow",
    ".feather": "arrow",
    ".ipc": "arrow",
    ".csv": "csv",
    ".tsv": "csv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    **dict.fromkeys((".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff"), "images"),
    **dict.fromkeys((".wav", ".flac", ".ogg", ".mp3"), "sounds"),
}
COMPRESSED = (".gz", ".bz2", ".xz", ".zst")


class Sources(NamedTuple):
    """Files to read, and files of a folder or glob that have an unknown format."""

    files: list[Source]
    skipped: tuple[str, ...]


def find_sources(named: Sequence[str], kind: Kind | None = None) -> Sources:
    """Find every file, in the order named and sorted within; BatchError for none, an unknown format, or two formats."""
    listed = [_find_sources(name, kind) for name in named]
    files = [file for each in listed for file in each.files]
    skipped = tuple(url for each in listed for url in each.skipped)
    kinds = sorted({file.kind for file in files})
    if len(kinds) > 1:
        raise BatchError(
            f"the sources are of several kinds: {', '.join(kinds)}", where=" ".join(named), fix="score each alone"
        )
    if not files:
        only = f": {', '.join(skipped[:5])} is of no known kind" if skipped else ""
        raise BatchError(f"nothing to score{only}", where=" ".join(named), fix="name files, folders or globs")
    return Sources([_album(files)] if kinds[0] in ALBUMS else files, skipped)


def open_source(url: str) -> IO[bytes]:
    """Open a file for reading as it is; BatchError if it can't be read."""
    try:
        fs, path = locate(url)
        return cast("IO[bytes]", fs.open(path, "rb"))
    except (OSError, ValueError, ImportError) as error:
        raise BatchError(f"can't be read: {error}", where=url) from error


def kind_of(path: str) -> Kind | None:
    """Return the format by the suffix, which a compression's suffix may follow; None if it is unknown."""
    suffixes = [suffix.lower() for suffix in PurePosixPath(path).suffixes]
    if suffixes and suffixes[-1] in COMPRESSED:
        suffixes.pop()
        return kind if suffixes and (kind := SUFFIXES.get(suffixes[-1])) in ("csv", "jsonl") else None
    return SUFFIXES.get(suffixes[-1]) if suffixes else None


def _find_sources(name: str, kind: Kind | None) -> Sources:
    """Find the files of one path, glob, folder or URL."""
    try:
        fs, path = locate(name)
        infos, explicit = _infos(fs, path)
    except (ImportError, ValueError) as error:
        raise BatchError(f"can't open this URL: {error}", where=name, fix=installation(name)) from error
    except OSError as error:
        raise BatchError(f"can't be read: {error}", where=name, fix="check the path") from error
    if not infos:
        raise BatchError("no such file, folder or glob", where=name)
    files, skipped = list[Source](), list[str]()
    for info in infos:
        url, file_kind = fs.unstrip_protocol(info["name"]), kind or kind_of(info["name"])
        if file_kind:
            files.append(Source(url, file_kind, int(info.get("size") or 0), version_mark(info)))
        elif explicit:
            raise BatchError(
                "unknown kind of file", where=info["name"], fix=f"known are {' '.join(SUFFIXES)}; or say --format"
            )
        else:
            skipped.append(url)
    return Sources(files, tuple(skipped))


def _infos(fs: Any, path: str) -> tuple[list[dict[str, Any]], bool]:
    """Return the files of one name, and whether the name is of a single file."""
    if any(sign in path for sign in "*?[") and not fs.exists(path):  # a file may be called `rows[1].csv`
        matches = fs.glob(path, detail=True)
        files = [info for info in matches.values() if info["type"] == "file"]
        return sorted(files, key=_name), False
    if not fs.exists(path):
        return [], True
    if not fs.isdir(path):
        return [fs.info(path)], True
    depth = len(PurePosixPath(path).parts)
    files = [info for name, info in fs.find(path, detail=True).items() if not _hidden(name, depth)]
    return sorted(files, key=_name), False


def _name(info: dict[str, Any]) -> str:
    return str(info["name"])


def _hidden(name: str, depth: int) -> bool:
    """Return whether Spark and Arrow would skip a file: a name that begins with `_` or `.` is no data."""
    return any(part.startswith(("_", ".")) for part in PurePosixPath(name).parts[depth:])


def _album(files: Sequence[Source]) -> Source:
    """Make one source of all images or sounds, since each alone would be a source of one row."""
    paths, kind = tuple(file.url for file in files), files[0].kind
    mark = hash_of([f"{file.url} {file.size} {file.mark}" for file in files])
    return Source(f"{len(paths)} {kind}", kind, sum(file.size for file in files), mark, paths)


def hash_of(lines: Sequence[str]) -> str:
    """Return a digest that is the same in every process."""
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]
