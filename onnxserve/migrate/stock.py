"""A TorchServe archive: its manifest, its members and its configuration."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import yaml

from onnxserve.archive.read import NAME, NAME_FIX
from onnxserve.errors import ArchiveError
from onnxserve_handlers.trust.digests import EVIDENCE, MANIFEST, MIGRATION, UNRECORDED

from .members import read_members

RUNTIMES = ("python", "python3")
DEFAULT_VERSION = "1.0"  # TorchServe's, for a manifest without a version


class Model(msgspec.Struct, frozen=True, rename="camel"):
    """The manifest's section `model` (`model_archiver/manifest_components/model.py`, and `Manifest.java`)."""

    model_name: str
    handler: str
    model_version: str | None = None
    model_file: str | None = None
    serialized_file: str | None = None
    requirements_file: str | None = None
    config_file: str | None = None
    source_vocab: str | None = None
    envelope: str | None = None


class Manifest(msgspec.Struct, frozen=True):
    """The part of `MAR-INF/MANIFEST.json` that decides how an archive runs."""

    model: Model
    runtime: str = "python"


@dataclass(frozen=True)
class StockArchive:
    """An archive that torch-model-archiver made.

    `members` are the bytes of all members by name, without the manifest, which is `document`. `sha256` is that of the
    file, or of a folder's content. `dropped` members lay outside the model's folder.
    """

    path: Path
    sha256: str
    manifest: Manifest
    document: dict[str, Any]
    members: dict[str, bytes]
    dropped: tuple[str, ...] = ()

    @property
    def model(self) -> Model:
        """The manifest's section about the model."""
        return self.manifest.model

    @property
    def name(self) -> str:
        """The model's name."""
        return self.model.model_name

    @property
    def version(self) -> str:
        """The model's version."""
        return self.model.model_version or DEFAULT_VERSION

    @property
    def handler_file(self) -> str:
        """The member that has the handler; empty for one of TorchServe's own handlers."""
        name = self.model.handler.partition(":")[0]
        file = name if name.endswith(".py") else f"{name}.py"
        return file if file in self.members else ""


def read_stock(path: Path, envelope: str = "") -> StockArchive:
    """Read an archive, a tarball or a folder; ArchiveError if it is no TorchServe archive, or one that can't be served.

    Nothing of it is imported, unpickled or run. `envelope` is put into the manifest: on the old server it was a setting
    of all models (`service_envelope`), so the archive doesn't say it.
    """
    contents = read_members(path)
    members = dict(contents.members)
    document = _decoded(path, members.pop(MANIFEST))
    if "workflow" in document:
        raise _workflow(path, document["workflow"], members)
    if envelope and isinstance(document.get("model"), dict):
        document["model"]["envelope"] = envelope
    try:
        manifest = msgspec.convert(document, Manifest)
    except msgspec.ValidationError as error:
        raise ArchiveError(f"{MANIFEST} is not torch-model-archiver's: {error}", where=str(path)) from error
    stock = StockArchive(path, contents.sha256, manifest, document, members, contents.dropped)
    _check(stock)
    return stock


def read_config(stock: StockArchive) -> dict[str, Any]:
    """Return the archive's configuration (YAML), empty without one; ArchiveError if it is missing or damaged."""
    name = stock.model.config_file
    if not name:
        return {}
    if name not in stock.members:
        raise ArchiveError(f"the manifest names {name}, which is missing", where=str(stock.path))
    try:
        document = yaml.safe_load(stock.members[name]) or {}
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ArchiveError(f"{name} is damaged: {error}", where=str(stock.path)) from error
    if not isinstance(document, dict):
        raise ArchiveError(f"{name} isn't a mapping", where=str(stock.path))
    return document


def _decoded(path: Path, content: bytes) -> dict[str, Any]:
    try:
        return msgspec.json.decode(content, type=dict[str, Any])
    except (msgspec.DecodeError, RecursionError) as error:
        raise ArchiveError(f"{MANIFEST} is damaged: {error}", where=str(path)) from error


def _check(stock: StockArchive) -> None:
    """Raise ArchiveError for an archive of ours, a name that can't be served, and a runtime that isn't Python."""
    where = str(stock.path)
    if EVIDENCE in stock.members:
        raise ArchiveError("it is an archive of onnxserve", where=where, fix="put it into the model store as it is")
    if taken := sorted(stock.members.keys() & {*UNRECORDED, MIGRATION}):
        raise ArchiveError(f"it has members of its own with names that onnxserve needs: {taken}", where=where)
    for name in (stock.name, stock.version):
        if not NAME.fullmatch(name):
            raise ArchiveError(f"{name!r} isn't a valid name of a model or a version", where=where, fix=NAME_FIX)
    if stock.manifest.runtime.lower() not in RUNTIMES:
        what = f"its runtime is {stock.manifest.runtime!r}; TorchServe's worker here runs Python"
        raise ArchiveError(what, where=where, fix="write its handler in Python, or keep it on its server")


def _workflow(path: Path, section: Any, members: dict[str, bytes]) -> ArchiveError:
    """Return the error for a workflow, which names the archives of its models."""
    section = section if isinstance(section, dict) else {}
    name, spec = section.get("workflowName", path.stem), members.get(str(section.get("specFile")), b"")
    try:
        models = (yaml.safe_load(spec) or {}).get("models", {})
        urls = sorted(str(entry["url"]) for entry in models.values() if isinstance(entry, dict) and "url" in entry)
    except (yaml.YAMLError, AttributeError, UnicodeDecodeError):
        urls = []
    what = f"{name} is a workflow: onnxserve serves single models, and clients call one after the other"
    fix = "migrate the archives of its models" + (f": {', '.join(urls)}" if urls else "")
    return ArchiveError(what, where=str(path), fix=fix)
