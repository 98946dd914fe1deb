"""A new model folder, copied from a template."""

from __future__ import annotations

import re
from pathlib import Path

from onnxserve.errors import DefinitionError

TEMPLATES = Path(__file__).with_name("templates")
KINDS = ("text", "image", "table")
FORMER = {"tabular": "table"}  # until 0.2
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
MARK = "__name__"


def new_model(kind: str, name: str, models: Path) -> Path:
    """Make `models/<name>` from the template of a kind; DefinitionError for a bad kind or name or if it exists."""
    kind = FORMER.get(kind, kind)
    if kind not in KINDS:
        raise DefinitionError(f"no kind {kind!r}", fix="choose " + ", ".join(KINDS))
    if not NAME.fullmatch(name):
        raise DefinitionError(f"{name!r} is no model name", fix="letters, digits, '_', '-' and '.', as in an URL")
    folder = models / name
    if folder.exists():
        raise DefinitionError("a model with this name exists", where=str(folder), fix="choose another name")
    folder.mkdir(parents=True)
    for source in sorted((TEMPLATES / kind).iterdir()):
        if source.is_file():
            text = source.read_text(encoding="utf-8").replace(MARK, name)
            (folder / source.name.removesuffix(".tmpl")).write_text(text, encoding="utf-8")
    return folder
