"""Files, prefixes and globs of object stores, and of whatever else fsspec reads.

Credentials are each library's own: AWS_ACCESS_KEY_ID or a profile, GOOGLE_APPLICATION_CREDENTIALS,
AZURE_STORAGE_CONNECTION_STRING and the like.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import PurePosixPath
from typing import Any

from onnxserve.errors import SourceError

from .filesystem import installation, is_wild, locate, version_mark, wild_root
from .remote import Interrupted, Remote, RemoteFile, Stream

BLOCK = 4 * 2**20
CREDENTIALS = "set the credentials that the store's library reads, such as AWS_ACCESS_KEY_ID"


class Objects(Remote):
    """One object, all objects below a prefix, or those that a glob matches."""

    def __init__(self, url: str) -> None:
        self._url = url
        try:
            self._system, self._path = locate(url)
        except ImportError as error:
            raise SourceError(f"this address needs a package: {error}", where=url, fix=installation(url)) from error
        except ValueError as error:
            raise SourceError(f"no such address: {error}", where=url, fix=installation(url)) from error
        except OSError as error:  # some file systems connect at once
            raise SourceError(
                f"can't be reached: {error}", where=url, fix="check the address and the network"
            ) from error
        self._root = PurePosixPath(self._path)
        self._paths: dict[str, str] = {}

    def files(self) -> Sequence[RemoteFile]:
        """List the objects; folders and globs give names below their common folder."""
        with self._errors():
            infos = self._infos()
        if not infos:
            raise SourceError("no such object, prefix or glob", where=self._url, fix="check the address")
        files = []
        for path, info in sorted(infos.items()):
            name = PurePosixPath(path).relative_to(self._root).as_posix()
            self._paths[name] = path
            size = info.get("size")
            files.append(RemoteFile(name, None if size is None else int(size), version_mark(info)))
        return files

    def _infos(self) -> dict[str, dict[str, Any]]:
        path = self._path.rstrip("/")
        if is_wild(path):
            self.is_folder, self._root = True, wild_root(path)
            matches = self._system.glob(path, detail=True)
            return {name: info for name, info in matches.items() if info["type"] == "file"}
        if self._system.isdir(path):
            self.is_folder, self._root = True, PurePosixPath(path)
            below = self._system.find(path, detail=True)
            return {name: info for name, info in below.items() if not name.endswith("/")}  # marks of empty folders
        self._root = PurePosixPath(path).parent
        return {path: self._system.info(path)} if self._system.exists(path) else {}

    def read(self, file: RemoteFile, offset: int) -> AbstractContextManager[Stream]:
        """Read an object from an offset on."""
        return self._opened(file, offset)

    @contextmanager
    def _opened(self, file: RemoteFile, offset: int) -> Iterator[Stream]:
        with self._errors():
            source = self._system.open(self._paths[file.name], "rb", block_size=BLOCK)
        with source:
            yield Stream(offset, file.size, file.mark, self._blocks(source, offset))

    def _blocks(self, source: Any, offset: int) -> Iterator[bytes]:
        with self._errors():
            source.seek(offset)
            while block := source.read(BLOCK):
                yield block

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except (SourceError, Interrupted):
            raise
        except FileNotFoundError as error:
            raise SourceError("no such object", where=self._url, fix="check the address") from error
        except PermissionError as error:
            raise SourceError(f"the store refuses access: {error}", where=self._url, fix=CREDENTIALS) from error
        except OSError as error:
            raise Interrupted(str(error)) from error
        except Exception as error:
            raise SourceError(
                f"can't be read: {type(error).__name__}: {error}", where=self._url, fix=CREDENTIALS
            ) from error
