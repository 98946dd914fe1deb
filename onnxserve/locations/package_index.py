"""Files of a wheel on a package registry: `pypi://NAME[@VERSION][/FILE, FOLDER or GLOB]`.

Nothing of the wheel is imported; a source archive isn't taken, since pip runs its code to read it.
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from packaging.utils import parse_wheel_filename

from onnxserve.errors import SourceError
from onnxserve.scratch import Scratch

from .filesystem import is_wild, wild_root
from .pip_download import pip_download
from .remote import Remote, RemoteFile, Stream

ADDRESS = re.compile(r"pypi://(?P<name>[A-Za-z0-9][\w.-]*)(?:@(?P<version>[^/@]+))?(?:/(?P<path>.*))?")
BLOCK = 4 * 2**20


class Address(NamedTuple):
    """What a `pypi://` address names; `version` is empty for the newest one."""

    name: str
    version: str
    path: str


class Package(Remote):
    """The files of a wheel, or those of them that a path or a glob names."""

    def __init__(self, url: str) -> None:
        self._url, self._address = url, parse(url)
        self._scratch = Scratch()
        self._members: dict[str, zipfile.ZipInfo] = {}  # by their names below the address
        self._wheel: zipfile.ZipFile | None = None

    def files(self) -> Sequence[RemoteFile]:
        """Download the wheel, and list its files."""
        name, version, path = self._address
        wheel = self._opened()
        version = version or str(parse_wheel_filename(Path(str(wheel.filename)).name)[1])
        self.exact_url = f"pypi://{name}@{version}{'/' + path if path else ''}"
        members = {member.filename: member for member in wheel.infolist() if not member.is_dir()}
        if path in members:
            root = PurePosixPath(path).parent
            chosen = [path]
        else:
            self.is_folder = True
            root = wild_root(path) if is_wild(path) else PurePosixPath(path)
            chosen = [member for member in sorted(members) if _is_below(member, path)]
        if not chosen:
            fix = f"it has {', '.join(_models(members)) or 'no file that looks like a model'}"
            raise SourceError(f"{name} {version} has no {path}", where=self._url, fix=fix)
        self._members = {_name_below(root, member): members[member] for member in chosen}
        return [RemoteFile(name, member.file_size, f"{member.CRC:08x}") for name, member in self._members.items()]

    def read(self, file: RemoteFile, offset: int) -> AbstractContextManager[Stream]:
        """Read a file of the wheel from an offset on."""
        return self._read(file, offset)

    @contextmanager
    def _read(self, file: RemoteFile, offset: int) -> Iterator[Stream]:
        with self._opened().open(self._members[file.name]) as member:
            member.seek(offset)
            yield Stream(offset, file.size, file.mark, iter(lambda: member.read(BLOCK), b""))

    def close(self) -> None:
        """Remove the wheel; its files are in the cache."""
        if self._wheel is not None:
            self._wheel.close()
        self._scratch.remove()

    def _opened(self) -> zipfile.ZipFile:
        if self._wheel is None:
            self._wheel = zipfile.ZipFile(download(self._address, self._scratch.path, self._url))
        return self._wheel


def parse(url: str) -> Address:
    """Read an address; SourceError for one that names no package."""
    match = ADDRESS.fullmatch(url)
    if not match:
        fix = "write pypi://NAME@VERSION, and /FILE for one file"
        raise SourceError("not the address of a package", where=url, fix=fix)
    return Address(match["name"], match["version"] or "", (match["path"] or "").strip("/"))


def download(address: Address, folder: Path, where: str) -> Path:
    """Let pip fetch the wheel for this machine into `folder`; SourceError with pip's reason."""
    requirement = f"{address.name}=={address.version}" if address.version else address.name
    return pip_download(
        f"{requirement} as a wheel",
        folder,
        "*.whl",
        ["--only-binary", ":all:", requirement],
        where=where,
        fix="check the network, the name and the version",
    )


def _name_below(root: PurePosixPath, member: str) -> str:
    """Return a member's name below a folder; a name that begins elsewhere stays, for `check_names` to refuse."""
    path = PurePosixPath(member)
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else member


def _is_below(member: str, path: str) -> bool:
    if not is_wild(path):
        return not path or member.startswith(f"{path}/")
    from fsspec.utils import glob_translate

    return re.fullmatch(glob_translate(path), member) is not None


def _models(members: Iterable[str]) -> list[str]:
    """Return the first few files that may be models."""
    suffixes = (".onnx", ".pt", ".pt2", ".safetensors", ".joblib", ".skops", ".ubj", "/config.json", "/config.pbtxt")
    return [member for member in sorted(members) if member.endswith(suffixes)][:5]
