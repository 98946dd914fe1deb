"""The gateway's files: JSON with a clear error for damage, and sets of files for nginx."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar

import msgspec

from onnxserve.disk import replace_file
from onnxserve.errors import GatewayError

Kind = TypeVar("Kind")


def read_json(path: Path, kind: type[Kind], *, fix: str) -> Kind | None:
    """Return a file's content; None if there is no file. GatewayError, with `fix`, when the file is damaged."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except FileNotFoundError:
        return None
    except msgspec.DecodeError as error:
        raise GatewayError(f"the file is damaged: {error}", where=str(path), fix=fix) from error


def write_json(path: Path, content: object) -> None:
    """Replace a file by indented JSON."""
    replace_file(path, msgspec.json.format(msgspec.json.encode(content), indent=2))


def write_files(folder: Path, files: Mapping[str, bytes]) -> list[Path]:
    """Write files by name and return their paths; an unchanged file isn't written, so that a restart needs no space."""
    for name, content in files.items():
        path = folder / name
        if not path.is_file() or path.read_bytes() != content:
            replace_file(path, content)
    return [folder / name for name in files]
