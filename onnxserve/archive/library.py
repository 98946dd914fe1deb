"""Shared by signing and encryption: optional libraries, and files that only their owner can read."""

from __future__ import annotations

import os
from importlib import import_module
from pathlib import Path
from typing import Any

from onnxserve.errors import OnnxserveError


def library(name: str) -> Any:
    """Import a module; OnnxserveError names what to install."""
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        raise OnnxserveError(f"{error.name} is not installed", fix="pip install 'onnxserve[sign]'") from error


def refuse_existing(*paths: Path) -> None:
    """Raise OnnxserveError if a file exists: an overwritten key is lost."""
    for path in paths:
        if path.exists():
            raise OnnxserveError("the file exists already", where=str(path), fix="choose another name")


def write_private(path: Path, content: bytes) -> None:
    """Write a new file that only its owner can read."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as stream:
        stream.write(content)
