"""What a service has at a location: a list of files, and the bytes of each from any offset on."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from onnxserve.errors import SourceError


class Interrupted(Exception):
    """The service went away or is busy; asking again for the rest may help."""


class Restart(Exception):
    """The service can't continue at this offset: the file has to be read from its beginning."""


class RemoteFile(NamedTuple):
    """A file of a location."""

    name: str
    """Path below the location, with `/` between its parts."""
    size: int | None = None
    """Size as the service states it [bytes]."""
    mark: str = ""
    """What changes with the bytes; empty if only an answer tells it."""
    sha256: str = ""
    """Digest as the service states it; empty if it states none."""


class Stream(NamedTuple):
    """Bytes of a file from `offset` on; `total` is the size of the whole file, if it is known [bytes]."""

    offset: int
    total: int | None
    mark: str
    chunks: Iterator[bytes]


class Remote(ABC):
    """A location of a service."""

    is_folder = False
    """Whether the answer is a folder, even if it has one file only."""
    sha256 = ""
    """Digest by which the service names the content; empty if the digest is that of the files."""
    exact_url = ""
    """The location with a revision that never changes; empty if the URL names no revision."""

    @abstractmethod
    def files(self) -> Sequence[RemoteFile]:
        """List the files; SourceError if there are none, Interrupted if the service is away."""

    @abstractmethod
    def read(self, file: RemoteFile, offset: int) -> AbstractContextManager[Stream]:
        """Open a file at an offset; its mark is the one of the bytes that are there already, if there are any.

        SourceError if the service refuses, Interrupted if it is away, Restart if it can't continue at the offset.
        """

    def close(self) -> None:  # noqa: B027 - for a service with connections
        """Close the connections."""

    def unpack(self, folder: Path, target: Path, limit: int) -> bool:  # noqa: ARG002 - for a service with layers
        """Unpack the files in `folder` into `target`, at most `limit` bytes; False if the files are the answer."""
        return False


def check_names(files: Sequence[RemoteFile], where: str) -> None:
    """Raise SourceError for a file name that would be written outside its folder, or that is a folder's too."""
    folders = {str(parent) for file in files for parent in PurePosixPath(file.name).parents}
    for file in files:
        path = PurePosixPath(file.name)
        if path.is_absolute() or ".." in path.parts or not path.parts or "\0" in file.name:
            raise SourceError(
                f"the service lists a file {file.name!r}, which isn't a path below the location", where=where
            )
        if str(path) in folders:
            raise SourceError(f"{file.name!r} is both a file and a folder", where=where, fix="name the files by a glob")
