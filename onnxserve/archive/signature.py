"""The signature of an archive as a document; one of an earlier version gets the present fields."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from onnxserve.errors import ArchiveError

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
