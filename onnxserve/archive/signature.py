"""The signature of an archive as a document; one of an earlier version gets the present fields."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from onnxserve.errors import ArchiveError
from onnxserve_handlers.signature import TEXT_PAIR

from .read import member, open_archive

NAME = "signature.json"
KINDS = {"text": "text", "image": "image", "tabular": "table", "table": "table", "joined": "table", "handler": "table"}


def read_signature(path: Path) -> dict[str, Any]:
    """Return `signature.json`; ArchiveError if it is missing or damaged."""
    with open_archive(path) as archive:
        try:
            document = msgspec.json.decode(member(archive, NAME), type=dict[str, Any])
        except msgspec.DecodeError as error:
            raise ArchiveError(f"{NAME} is damaged: {error}", where=str(path)) from error
    return with_present_fields(document)


def folder_signature(folder: Path) -> dict[str, Any]:
    """Return the signature of an unpacked archive."""
    return with_present_fields(msgspec.json.decode((folder / NAME).read_bytes(), type=dict[str, Any]))


def column_types(signature: dict[str, Any]) -> dict[str, str]:
    """Return the type of each column of a table, by its name; a column that is a name alone has numbers."""
    columns = signature["input"].get("columns", ())
    return dict(
        (name, "number") if isinstance(name, str) else (name["name"], name.get("type", "number")) for name in columns
    )


def nullable_columns(signature: dict[str, Any]) -> tuple[str, ...]:
    """Return the columns of a table that take null, by name."""
    columns = signature["input"].get("columns", ())
    return tuple(column["name"] for column in columns if not isinstance(column, str) and column.get("nullable"))


def row_fields(signature: dict[str, Any]) -> tuple[str, ...]:
    """Return the fields of a row that is an object of several values or of tensors; none where it is one value."""
    if signature["input"].get("pairs"):
        return TEXT_PAIR
    is_tensors = signature["input"].get("kind") == "tensors"
    return tuple(tensor["name"] for tensor in signature["input"]["tensors"]) if is_tensors else ()


def takes_arrays(signature: dict[str, Any]) -> bool:
    """Return whether rows of a table are numbers alone, which can be read as one array for each column."""
    columns = signature["input"].get("columns", ())
    has_types = any(not isinstance(column, str) and set(column) - {"name", "nullable"} for column in columns)
    return bool(columns) and not has_types and signature["input"].get("tensors", "one") == "one"


def with_present_fields(document: dict[str, Any]) -> dict[str, Any]:
    """Return a signature with `input.kind` and `output`, which archives of earlier versions lack."""
    if "output" in document:
        return document
    labels = document.get("labels", [])
    task = "classification" if labels else "regression"
    output = {"task": task, "labels": labels, "activation": document.get("activation", "softmax")}
    module = str(document.get("handler", "")).partition(":")[0].rpartition(".")[2]
    rows = dict(document.get("input", {}))
    rows["kind"] = KINDS.get(module) or ("table" if rows.get("columns") else "image" if rows.get("height") else "")
    return {**document, "input": rows, "output": output}
