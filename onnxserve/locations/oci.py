"""Images and artifacts of OCI registries: `oci://REGISTRY/REPOSITORY[:TAG]`; the pin is the manifest's digest.

Layers of an artifact, which have a title, are files. Layers of an image are unpacked over each other, as a runtime
does: https://github.com/opencontainers/image-spec/blob/main/layer.md.
"""

from __future__ import annotations

import hashlib
import json
import platform
import re
import shutil
import tarfile
from collections.abc import Sequence
from contextlib import AbstractContextManager, suppress
from pathlib import Path, PurePosixPath
from typing import Any

from onnxserve.errors import SourceError

from .oci_client import INDEXES, RegistryClient
from .remote import Remote, RemoteFile, Stream, check_names
from .transfer import LIMIT_FIX
from .web import read_url

ADDRESS = re.compile(r"oci://(?P<registry>[^/]+)/(?P<repository>[a-z0-9._/-]+)(?::(?P<tag>[\w.-]{1,128}))?")
TITLE = "org.opencontainers.image.title"
IS_FOLDER = "io.deis.oras.content.unpack"  # oras marks so a folder, which it pushes as one layer
ALGORITHM = "sha256:"
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
REMOVED, EMPTIED = ".wh.", ".wh..wh..opq"  # whiteouts


class Image(Remote):
    """The layers of one manifest; `sha256` pins it, or its tag is looked up."""

    is_folder = True

    def __init__(self, url: str, sha256: str) -> None:
        match = ADDRESS.fullmatch(url)
        if not match:
            raise SourceError("not the address of an image", where=url, fix="write oci://REGISTRY/REPOSITORY:TAG")
        self._url = url
        self._registry = RegistryClient(match["registry"], match["repository"], url)
        self._reference = f"{ALGORITHM}{sha256}" if sha256 else match["tag"] or "latest"
        self._layers: list[dict[str, Any]] = []

    def files(self) -> Sequence[RemoteFile]:
        """Read the manifest and list its layers by digest."""
        content = self._registry.manifest(self._reference)
        self.sha256 = hashlib.sha256(content).hexdigest()
        if self._reference.startswith(ALGORITHM):
            self._check(content, self._reference)
        document = self._document(content)
        if document.get("mediaType") in INDEXES or "manifests" in document:
            digest = self._of_this_machine(document["manifests"])
            content = self._registry.manifest(digest)
            self._check(content, digest)
            document = self._document(content)
        self._layers = document.get("layers", [])
        digests = [str(layer["digest"]).removeprefix(ALGORITHM) for layer in self._layers]
        sizes = [int(layer["size"]) for layer in self._layers]
        size_of = dict(zip(digests, sizes, strict=True))
        return [RemoteFile(digest, size, digest, digest) for digest, size in size_of.items()]

    def close(self) -> None:
        """Close the connections."""
        self._registry.http.close()

    def read(self, file: RemoteFile, offset: int) -> AbstractContextManager[Stream]:
        """Read a layer."""
        url = self._registry.blob_url(ALGORITHM + file.sha256)
        return read_url(self._registry.http, url, self._url, offset=offset, mark="", headers=self._registry.headers)

    def unpack(self, folder: Path, target: Path, limit: int) -> bool:
        """Place titled layers as files, and unpack the others over each other."""
        target.mkdir()
        for layer in self._layers:
            blob = folder / str(layer["digest"]).removeprefix(ALGORITHM)
            annotations = layer.get("annotations") or {}
            title = str(annotations.get(TITLE, ""))
            if title and annotations.get(IS_FOLDER) != "true":
                check_names([RemoteFile(title)], self._url)
                (target / title).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(blob, target / title)
                limit -= blob.stat().st_size
            else:
                limit -= self._unpack_layer(blob, target, limit)
        return True

    def _unpack_layer(self, blob: Path, target: Path, limit: int) -> int:
        """Unpack one layer; return its size [bytes]. Whiteouts hide what lower layers have."""
        try:
            with tarfile.open(blob) as layer:
                members = layer.getmembers()
                size = sum(member.size for member in members if member.isfile())
                if size > limit:
                    raise SourceError("the image is larger than its limit", where=self._url, fix=LIMIT_FIX)
                for member in members:
                    _hide(target, PurePosixPath(member.name))
                for member in members:
                    if not PurePosixPath(member.name).name.startswith(REMOVED) and not member.isdev():
                        # Links to places outside the image lead nowhere here.
                        with suppress(tarfile.AbsoluteLinkError, tarfile.LinkOutsideDestinationError):
                            layer.extract(member, target, filter="data")
                return size
        except tarfile.TarError as error:
            fix = "push files with oras, which titles them, or an image whose layers are tar or tar+gzip"
            raise SourceError(f"a layer can't be unpacked: {error}", where=self._url, fix=fix) from error

    def _of_this_machine(self, manifests: Sequence[dict[str, Any]]) -> str:
        """Return the digest of the manifest for this machine, or of the only one."""
        own_platform = ("linux", ARCHITECTURES.get(platform.machine(), platform.machine()))
        images = {
            (each["platform"].get("os"), each["platform"].get("architecture")): str(each["digest"])
            for each in manifests
            if each.get("platform")
        }
        if own_platform in images:
            return images[own_platform]
        if len(manifests) == 1:
            return str(manifests[0]["digest"])
        raise SourceError(
            f"the index has no image for {'/'.join(own_platform)}", where=self._url, fix="name one of its images"
        )

    def _document(self, content: bytes) -> dict[str, Any]:
        try:
            document = json.loads(content)
        except ValueError as error:
            raise SourceError(f"the registry's manifest isn't JSON: {error}", where=self._url) from error
        if not isinstance(document, dict):
            raise SourceError("the registry's manifest isn't an object", where=self._url)
        return document

    def _check(self, content: bytes, digest: str) -> None:
        actual = hashlib.sha256(content).hexdigest()
        if ALGORITHM + actual != digest:
            raise SourceError(f"the manifest has SHA-256 {actual}, {digest} was expected", where=self._url)


def _hide(root: Path, path: PurePosixPath) -> None:
    """Remove what a whiteout hides; any other path hides nothing."""
    if path.name == EMPTIED:
        _clear(root / path.parent)
    elif path.name.startswith(REMOVED):
        _remove(root, root / path.parent / path.name.removeprefix(REMOVED))


def _clear(folder: Path) -> None:
    for entry in folder.iterdir() if folder.is_dir() else ():
        _remove(folder, entry)


def _remove(root: Path, path: Path) -> None:
    if not path.parent.resolve().is_relative_to(root.resolve()):
        return  # a whiteout that would reach outside
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
