"""The words of `onnxserve import`, and files of rows for it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from .photos import photos, saved, scene

Words = tuple[str, ...]
FP32: Words = ("--set", 'quantise.variants=["fp32"]')


def sets(**fields: Any) -> Words:
    """Return options `--set FIELD=VALUE`; `input__height` stands for input.height."""
    pairs = [(name.replace("__", "."), value) for name, value in fields.items()]
    return tuple(part for name, value in pairs for part in ("--set", f"{name}={json.dumps(value)}"))


def write_rows(path: Path, rows: Iterable[Any]) -> str:
    """Write rows without labels as lines of JSON; return the file's name."""
    path.write_text("".join(json.dumps({"input": row}) + "\n" for row in rows))
    return path.name


def write_files(folder: Path, files: Mapping[str, bytes]) -> str:
    """Write rows that are files; return the folder's name."""
    folder.mkdir()
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return folder.name


def pictures() -> dict[str, bytes]:
    """Return photos in many forms and odd sizes."""
    return {**photos(), **{f"{seed}.png": saved(scene(24 + seed, 90 - seed, seed)) for seed in range(50)}}
