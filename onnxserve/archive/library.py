"""What signing and sealing share: libraries that only they need, and files for their owner alone."""

from __future__ import annotations

import os
from importlib import import_module
from pathlib import Path
from typing import Any

from onnxserve.errors import OnnxserveError


def library(name: str) -> Any:
    """The module, or what to install."""
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        raise OnnxserveError(f"{error.name} is not installed", fix="pip install 'onnxserve[sign]'") from error


def refuse_existing(*paths: Path) -> None:
    """A key that is overwritten is lost."""
    for path in paths:
        if path.exists():
            raise OnnxserveError("there is a file already", where=str(path), fix="choose another name")


def write_private(path: Path, content: bytes) -> None:
    """A new file that its owner alone can read."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as stream:
        stream.write(content)
