"""Repositories of the Hugging Face Hub: `hf://[datasets/]OWNER/NAME[@REVISION][/FILE, FOLDER or GLOB]`.

HF_ENDPOINT names another hub, HF_TOKEN gives access.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import PurePosixPath
from typing import Any, NamedTuple
from urllib.parse import unquote

from onnxserve.errors import SourceError

from .filesystem import installation, is_wild, wild_root
from .remote import Interrupted, Remote, RemoteFile, Stream
from .web import BUSY, client, read_url

ADDRESS = re.compile(
    r"hf://(?:(?P<kind>datasets|spaces|models)/)?(?P<repo>[^/@]+(?:/[^/@]+)?)"
    r"(?:@(?P<revision>refs/(?:pr|convert)/[^/]+|[^/]+))?(?:/(?P<path>.*))?"
)
KINDS = {"datasets": "dataset", "spaces": "space"}
SAFE = ".safetensors"
# The same weights for other frameworks, which a repository often has beside its safetensors.
OTHER_WEIGHTS = (".bin", ".h5", ".msgpack", ".ot", ".ckpt", ".pt", ".pth", ".tflite", ".onnx", ".gguf", ".mlmodel")
OTHER_FOLDERS = ("onnx", "openvino", "coreml")


class Address(NamedTuple):
    """What an `hf://` address names."""

    kind: str | None
    repo: str
    revision: str
    path: str


class HubRepository(Remote):
    """A repository as a whole, or files of it.

    The whole repository comes without `.gitattributes` and, if it has safetensors, without weights in other formats.
    """

    def __init__(self, url: str) -> None:
        self._url, self._address = url, parse(url)
        try:
            import huggingface_hub
            from huggingface_hub.utils import build_hf_headers  # type: ignore[attr-defined]  # a lazy export
        except ImportError as error:
            raise SourceError("huggingface_hub is not installed", where=url, fix=installation(url)) from error
        self._library, self._headers = huggingface_hub, build_hf_headers
        self._endpoint = os.environ.get("HF_ENDPOINT") or None
        self._http = client()
        self._commit, self._root = "", PurePosixPath()

    def files(self) -> Sequence[RemoteFile]:
        """List the files at the revision's commit."""
        kind, repo, revision, path = self._address
        entries = self._listed()
        self.exact_url = f"hf://{kind + 's/' if kind else ''}{repo}@{self._commit}{'/' + path if path else ''}"
        chosen = [entry for entry in entries if entry.path == path]
        if not chosen:
            self.is_folder = True
            chosen = _matching(entries, path) if path else _whole(entries)
        if not chosen:
            raise SourceError(f"{repo} at {revision} has no {path or 'files'}", where=self._url, fix="check the path")
        whole = PurePosixPath(path)
        self._root = wild_root(path) if is_wild(path) else whole if self.is_folder else whole.parent
        return [self._file(entry) for entry in chosen]

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def read(self, file: RemoteFile, offset: int) -> AbstractContextManager[Stream]:
        """Read a file of the commit, whose bytes never change."""
        kind, repo, _, _ = self._address
        path = (self._root / file.name).as_posix()
        url = self._library.hf_hub_url(repo, path, repo_type=kind, revision=self._commit, endpoint=self._endpoint)
        headers = self._headers(library_name="onnxserve")
        return read_url(self._http, url, self._url, offset=offset, mark="", headers=headers)

    def _file(self, entry: Any) -> RemoteFile:
        name = PurePosixPath(entry.path).relative_to(self._root).as_posix()
        return RemoteFile(name, entry.size, entry.blob_id, entry.lfs.sha256 if entry.lfs else "")

    def _listed(self) -> list[Any]:
        kind, repo, revision, _ = self._address
        hub = self._library.HfApi(endpoint=self._endpoint, library_name="onnxserve")
        try:
            self._commit = str(hub.repo_info(repo, revision=revision, repo_type=kind).sha)
            tree = hub.list_repo_tree(repo, recursive=True, revision=self._commit, repo_type=kind)
            return sorted((entry for entry in tree if hasattr(entry, "blob_id")), key=lambda entry: entry.path)
        except Exception as error:  # of the hub's library, whose HTTP client differs from version to version
            raise self._failure(error) from error

    def _failure(self, error: Exception) -> Exception:
        status = getattr(getattr(error, "response", None), "status_code", None)
        if status is None and isinstance(error, ValueError):
            return SourceError(f"not a repository's address: {error}", where=self._url)
        if status is None or status in BUSY:
            return Interrupted(f"{type(error).__name__}: {error}")
        fix = "check owner, name and revision; set HF_TOKEN for a private or gated repository"
        return SourceError(f"the hub answers {status}", where=self._url, fix=fix)


def parse(url: str) -> Address:
    """Read an address; SourceError for one that names no repository."""
    match = ADDRESS.fullmatch(url)
    if not match:
        fix = "write hf://OWNER/NAME@REVISION, and /FILE for one file"
        raise SourceError("not the address of a repository", where=url, fix=fix)
    revision = unquote(match["revision"] or "main")
    return Address(KINDS.get(match["kind"] or ""), match["repo"], revision, (match["path"] or "").strip("/"))


def _matching(entries: Sequence[Any], path: str) -> list[Any]:
    if is_wild(path):
        from fsspec.utils import glob_translate

        pattern = re.compile(glob_translate(path))
        return [entry for entry in entries if pattern.fullmatch(entry.path)]
    return [entry for entry in entries if entry.path.startswith(f"{path}/")]


def _whole(entries: Sequence[Any]) -> list[Any]:
    files = [entry for entry in entries if PurePosixPath(entry.path).name != ".gitattributes"]
    if not any(entry.path.endswith(SAFE) for entry in files):
        return files
    return [entry for entry in files if not _is_other_format(PurePosixPath(entry.path))]


def _is_other_format(path: PurePosixPath) -> bool:
    return path.parts[0] in OTHER_FOLDERS or path.suffix in OTHER_WEIGHTS or path.name.endswith(".onnx_data")
