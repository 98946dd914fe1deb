"""Fields of earlier versions, read as the present ones: `loader`, labels at the top, handlers for kinds, and others."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

KINDS = {
    "text:TextClassifier": "text",
    "image:ImageClassifier": "image",
    "tabular:TabularClassifier": "table",
    "joined:JoinedClassifier": "table",
}
# Classes from which a handler of a user's own may derive, and their input kinds.
BASES = {
    "TextClassifier": "text",
    "TextInput": "text",
    "ImageClassifier": "image",
    "ImageInput": "image",
    "TabularClassifier": "table",
    "JoinedClassifier": "table",
    "TableInput": "table",
    "JoinedTable": "table",
    "TensorsInput": "tensors",
}

INT8_VARIANTS = ("int8-default", "int8-static", "int8-percentile", "int8-entropy")  # `int8` has taken their place


def former_variants(document: dict[str, Any]) -> list[str]:
    """Return the variants of a `model.toml` that are no more, in its order."""
    section = document.get("quantise")
    names = section.get("variants") if isinstance(section, dict) else None
    return [name for name in names if name in INT8_VARIANTS] if isinstance(names, list) else []


def with_present_fields(document: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Return the document of a `model.toml` with the present names; unknown fields stay for the reader to refuse."""
    rest = dict(document)
    if "loader" in rest and "source" not in rest:
        rest["source"] = rest.pop("loader")
    rows, predictions = _table(rest, "input"), _table(rest, "output")
    if "labels" in rest and predictions is not None and "labels" not in predictions:
        predictions["labels"] = rest.pop("labels")
    handler = rest.get("handler", "")
    if handler in KINDS:
        rest.pop("handler")
    if rows is not None and "kind" not in rows:
        rows["kind"] = KINDS.get(handler) or kind_of(handler, folder)
    if rows is not None and rows["kind"] == "image" and "scale" in rows and "std" not in rows:
        rows["std"] = rows.pop("scale")
    if predictions is not None and "task" not in predictions:
        predictions["task"] = "classification" if predictions.get("labels") else "regression"
    return rest


def _table(document: dict[str, Any], name: str) -> dict[str, Any] | None:
    """Return a copy of a table that is put in its place; None if the field isn't a table."""
    table = document.get(name, {})
    if not isinstance(table, dict):
        return None
    document[name] = table = dict(table)
    return table


def kind_of(handler: object, folder: Path) -> str:
    """Return the input kind that a handler of a user's own derives from; empty if it makes tensors itself."""
    name = str(handler).partition(":")[0]
    try:
        tree = ast.parse((folder / name).read_text(encoding="utf-8")) if name.endswith(".py") else ast.Module([], [])
    except (OSError, SyntaxError, ValueError):  # the reader reports the file
        return ""
    classes = [node for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]
    names = [base.id if isinstance(base, ast.Name) else getattr(base, "attr", "") for c in classes for base in c.bases]
    return next((BASES[name] for name in names if name in BASES), "")
