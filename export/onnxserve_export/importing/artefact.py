"""The artefact that is imported: where it is on this machine, and how a definition names it."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from onnxserve.errors import DefinitionError
from onnxserve.locations.fetch import Access, NotPinned, fetch, open_access
from onnxserve.locations.filesystem import local_path
from onnxserve.locations.location import Location, is_function, is_remote, parse_location
from onnxserve_export.sources.opening import FORMS


class Artefact(NamedTuple):
    """What was imported.

    `reference` is `source` of the definition; `path` is the file or folder, None for a function of an importable
    module; `given` is how the user named it, without the query of a URL, which may grant access.
    """

    reference: str
    path: Path | None
    given: str


def locate(
    source: str, folder: Path, *, offline: bool, say: Callable[[str], None], forms: str = f"give {FORMS}"
) -> Artefact:
    """Find or fetch an artefact for the definition in `folder`; DefinitionError or SourceError if it isn't there.

    What comes from another machine is pinned by its SHA-256. `forms` says what may be given instead.
    """
    if is_remote(source):
        access = open_access(offline=offline, say=say)
        if dropped := parse_location(source).unwritten:
            names = ", ".join(dropped)
            say(f"      {Location(source).public} is written without {names}, since they may grant access")
        return _remote(source, folder, access)
    location = parse_location(source)
    path = absolute(local_path(location.url))
    if path.exists():
        if location.sha256:
            fetch(location, Path.cwd(), open_access(offline=offline, say=say))  # checks the pin
        reference = relative_path(path, folder)
        return Artefact(Location(reference).pinned(location.sha256) if location.sha256 else reference, path, source)
    if not is_function(source):
        raise DefinitionError(f"there is no {source}", where=str(path), fix=forms)
    file, _, function = source.partition(":")
    if not file.endswith(".py"):
        return Artefact(source, None, source)
    code = Path(file).resolve()
    if not code.is_file():
        raise DefinitionError(f"there is no {file}", where=str(code), fix=forms)
    return Artefact(f"{code.name}:{function}", code, source)


def absolute(path: Path) -> Path:
    """Return an absolute path; a file that is a link keeps its name, since its suffix says what it is."""
    return path.parent.resolve() / path.name if path.is_file() else path.resolve()


def _remote(source: str, folder: Path, access: Access) -> Artefact:
    location = parse_location(source)
    try:
        path = fetch(location, folder, access)
    except NotPinned as unpinned:  # the bytes are in the cache now
        location = parse_location(unpinned.pinned)
        path = fetch(location, folder, access)
    return Artefact(location.pinned(location.sha256), path, location.public)


def relative_path(path: Path, folder: Path) -> str:
    """Return the path as a definition names it: relative if both lie below the current folder, so that it may move."""
    here = Path.cwd().resolve()
    if path.is_relative_to(here) and folder.resolve().is_relative_to(here):
        return Path(os.path.relpath(path, folder.resolve())).as_posix()
    return str(path)
