"""From a location to a path of this machine: out of the cache, or from its service into the cache."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path, PurePosixPath
from typing import NamedTuple
from urllib.parse import unquote

from onnxserve.errors import SourceError

from .cache import Cache, cache_folder, digest_of, folder_digest
from .filesystem import is_wild, local_path
from .location import Location
from .remote import Interrupted, Remote, RemoteFile, check_names
from .transfer import FIRST_S, TRIES, Allowance, Partial, transfer

MAX_GB = 50.0
GB = 10**9


class NotPinned(SourceError):
    """A location has no pin; `pinned` is its text with the digest of what was fetched."""

    def __init__(self, location: Location, pinned: str) -> None:
        super().__init__(f"{location.public} is not pinned", fix=f"if you trust what it brought, write {pinned}")
        self.pinned = pinned


class NotCached(SourceError):
    """The network is refused, and the cache hasn't what a location names."""

    def __init__(self, where: str) -> None:
        fix = "run once without --offline, or copy the cache from another machine"
        super().__init__(f"{where} is not in the cache, and --offline refuses the network", fix=fix)


def no_report(_what: str, _done: int, _total: int) -> None:
    """Report nothing."""


class Access(NamedTuple):
    """How locations are fetched: where they are kept, and whether the network may be used."""

    cache: Cache
    offline: bool = False
    limit: int = int(MAX_GB * GB)  # bytes of one location
    say: Callable[[str], None] = print
    progress: Callable[[str, int, int], None] = no_report


def open_access(
    *, offline: bool, say: Callable[[str], None], progress: Callable[[str, int, int], None] = no_report
) -> Access:
    """Return the access that the environment asks for; SourceError for a limit that isn't a number."""
    text = os.environ.get("ONNXSERVE_MAX_DOWNLOAD_GB") or str(MAX_GB)
    try:
        limit = int(float(text) * GB)
    except (ValueError, OverflowError) as error:
        raise SourceError(f"ONNXSERVE_MAX_DOWNLOAD_GB={text!r} isn't a number") from error
    return Access(Cache(cache_folder()), offline, limit, say, progress)


def fetch(location: Location, folder: Path, access: Access) -> Path:
    """Return the file or folder of a location; relative paths are below `folder`, and globs stay globs.

    NotPinned for a remote location without a pin, once its bytes are in the cache; NotCached where the network is
    refused; SourceError if it can't be read, or its digest is not the pinned one.
    """
    if not location.scheme:
        return _local(location, folder)
    if kept := _cached(location, access.cache):
        return kept
    if access.offline:
        raise NotCached(location.public)
    with access.cache.working(location.url, lambda: access.say(f"      waiting for {location.public}")) as work:
        # Another export may have fetched it meanwhile.
        return _cached(location, access.cache) or _download(location, work, access)


def _local(location: Location, folder: Path) -> Path:
    named = folder / local_path(location.url)
    path = named.parent.resolve() / named.name  # without `..`; a link keeps its name, since its suffix says what it is
    if not path.exists():
        if is_wild(location.url):
            return path
        raise SourceError("no such file or folder", where=str(path), fix="paths are relative to model.toml")
    if location.sha256:
        _check(location, digest_of(path))
    return path


def _cached(location: Location, cache: Cache) -> Path | None:
    path = location.public if location.scheme in ("http", "https") else location.url
    kept = cache.find(location.sha256, unquote(PurePosixPath(path).name)) if location.sha256 else None
    return kept and _answer(location, kept)


def _answer(location: Location, kept: Path) -> Path:
    """Return the only file of an image's folder in place of the folder."""
    entries = list(kept.iterdir()) if location.scheme == "oci" and kept.is_dir() else []
    return entries[0] if len(entries) == 1 and entries[0].is_file() else kept


def _download(location: Location, work: Path, access: Access) -> Path:
    """Fetch into the cache by way of `work`, which is removed once the bytes are whole."""
    had_bytes = any(work.iterdir())
    access.say(f"      {location.public}")
    with closing(open_remote(location)) as remote:
        path, digest = _obtain(remote, location, work, access)
        if location.sha256 and digest != location.sha256 and had_bytes:
            # What an earlier try left may be of another version.
            shutil.rmtree(work)
            work.mkdir()
            path, digest = _obtain(remote, location, work, access)
    if location.sha256 and digest != location.sha256:
        shutil.rmtree(work)
        _check(location, digest)
    keep = access.cache.keep_unpacked if remote.sha256 else access.cache.keep
    kept = keep(path, digest)
    shutil.rmtree(work)
    if not location.sha256:
        exact = Location(remote.exact_url or location.url)
        raise NotPinned(location, exact.pinned(digest))
    return _answer(location, kept)


def _check(location: Location, digest: str) -> None:
    if digest != location.sha256:
        raise SourceError(
            f"its SHA-256 is {digest}, {location.sha256} is pinned",
            where=location.public,
            fix="find out why the bytes changed before you change the pin",
        )


def _obtain(remote: Remote, location: Location, work: Path, access: Access) -> tuple[Path, str]:
    """Bring all files of a location into `work`; return the file or folder and its digest."""
    files, allowance = _listed(remote, location.public), Allowance(access.limit, location.public)
    check_names(files, location.public)
    folder, digests = work / "files", dict[str, str]()
    for file in files:
        partial = Partial(file, folder / file.name, work / "marks" / file.name)
        digests[file.name] = transfer(remote, file, partial, allowance, _reporting(access, file))
        allowance.add(partial.size)
        if file.sha256 and digests[file.name] != file.sha256:
            partial.restart("")
            what = f"{file.name} has SHA-256 {digests[file.name]}, the service states {file.sha256}"
            raise SourceError(what, where=location.public, fix="try again")
    for path in folder.rglob("*"):
        if path.is_file() and path.relative_to(folder).as_posix() not in digests:
            path.unlink()  # an earlier version had it
    shutil.rmtree(unpacked := work / "unpacked", ignore_errors=True)
    if remote.unpack(folder, unpacked, access.limit):
        return unpacked, remote.sha256
    if remote.is_folder:
        return folder, folder_digest(digests)
    [(name, digest)] = digests.items()
    return folder / name, digest


def _reporting(access: Access, file: RemoteFile) -> Callable[[int], None]:
    return lambda done: access.progress(file.name, done, file.size or 0)


def _listed(remote: Remote, where: str) -> Sequence[RemoteFile]:
    for attempt in range(TRIES):
        try:
            return remote.files()
        except Interrupted as error:
            reason = str(error)
            time.sleep(FIRST_S * 2**attempt)
    raise SourceError(f"can't be reached: {reason}", where=where, fix="check the network, and try again")


def open_remote(location: Location) -> Remote:
    """Return what reads a location's scheme."""
    match location.scheme:
        case "http" | "https":
            from .web import WebFile

            return WebFile(location.url, location.public)
        case "hf":
            from .hub import HubRepository

            return HubRepository(location.url)
        case "oci":
            from .oci import Image

            return Image(location.url, location.sha256)
        case "pypi":
            from .package_index import Package

            return Package(location.url)
        case _:
            from .objects import Objects

            return Objects(location.url)
