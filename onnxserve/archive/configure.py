"""Changes of an archive's serving configuration, which leave its proof untouched."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import yaml

from onnxserve.errors import ArchiveError

from .manifest import CONFIG
from .read import member, open_archive
from .signature import read_signature
from .verification import trusted_contents
from .write import write_archive


def max_batch(path: Path) -> int:
    """Return the size of the largest batch that the archive's proof covers [rows]."""
    return int(read_signature(path)["max_batch"])


def golden_bodies(path: Path) -> list[bytes]:
    """Return a JSON request for each golden row."""
    return [msgspec.json.encode({"instances": [instance]}) for instance in _document(path, "golden.json")["instances"]]


def read_config(path: Path) -> dict[str, Any]:
    """Return `model-config.yaml`; ArchiveError if it is missing or no mapping."""
    with open_archive(path) as archive:
        document = yaml.safe_load(member(archive, CONFIG))
    if not isinstance(document, dict):
        raise ArchiveError(f"{CONFIG} isn't a mapping", where=str(path))
    return document


def threads_of(config: dict[str, Any]) -> int:
    """Return the threads per worker of an archive's configuration; 0 if it isn't tuned."""
    return int((config.get("handler") or {}).get("threads") or 0)


def reconfigure(path: Path, target: Path, changes: Mapping[str, Any]) -> str:
    """Write `path` to `target` with changed keys of `model-config.yaml`; return the new SHA-256.

    Nested mappings are merged. Every other member keeps its bytes; a signature is dropped, since it no longer holds.
    ArchiveError for an archive that isn't trusted (`trusted_contents`).
    """
    config = read_config(path)
    for key, value in changes.items():
        merge = isinstance(value, Mapping) and isinstance(config.get(key), dict)
        config[key] = {**config[key], **value} if merge else value
    members, manifest = trusted_contents(path)
    members[CONFIG] = yaml.safe_dump(config, sort_keys=False).encode()
    return write_archive(target, members, manifest)


def _document(path: Path, name: str) -> dict[str, Any]:
    with open_archive(path) as archive:
        try:
            return msgspec.json.decode(member(archive, name), type=dict[str, Any])
        except msgspec.DecodeError as error:
            raise ArchiveError(f"{name} is damaged: {error}", where=str(path)) from error
