"""Columns of the user's rows, looked at before anything is written: an export would refuse a file that doesn't fit."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from shlex import quote

from onnxserve.batch.part import ALBUMS
from onnxserve.batch.sources import find_sources
from onnxserve.definition.toml_literal import literal
from onnxserve.errors import BatchError, DefinitionError
from onnxserve_export.row_columns import SHOWN, Columns, Wanted, choose_columns
from onnxserve_export.row_files import available_columns
from onnxserve_handlers.registry import KINDS, input_kind
from onnxserve_handlers.signature import TEXT_PAIR

from .outline import Outline


def check_columns(outline: Outline, rows: Path, say: Callable[[str], None]) -> None:
    """Raise DefinitionError if it isn't clear which columns of a file are the input and the label, or one is missing.

    Say which columns aren't read where no label is. A folder of images or sounds has none.
    """
    kind = outline.get("input.kind")
    if kind not in KINDS or (kind == "table" and not outline.get("input.columns")):
        return  # what is missing there is asked for first
    try:
        file = find_sources([str(rows)]).files[0]
        if file.kind not in ALBUMS:
            available = available_columns(file)
            columns = choose_columns(available, wanted_columns(outline, kind), file.url)
            if not columns.labels and outline.get("output.task") != "raw":
                say_unread(available, columns, say)
    except BatchError as error:
        raise DefinitionError(error.what, where=error.where or str(rows), fix=error.fix) from error


def say_unread(available: Sequence[str], columns: Columns, say: Callable[[str], None]) -> None:
    """Say which columns of a file without labels nothing reads, since one of them may be the label."""
    if unread := [name for name in available if name not in columns.inputs]:
        option = quote(f"rows.label={literal(unread[0])}")
        say(f"no column of the rows is called label, and nothing reads {', '.join(unread[:SHOWN])}")
        say(f"      if {unread[0]} is the label, import again with --set {option}, and accuracy is proven too")


def wanted_columns(outline: Outline, kind: str) -> Wanted:
    """Return what the outline says of the rows' columns, as a definition would."""
    label = outline.get("rows.label", "label")
    columns = TEXT_PAIR if outline.get("input.pairs") is True else outline.get("input.columns", ())
    own = tuple(column["name"] if isinstance(column, dict) else str(column) for column in columns)
    labels = (label,) if isinstance(label, str) else tuple(label)
    return Wanted(tuple(outline.get("rows.input", ())), labels, own, input_kind(kind).input_options.numeric, kind)
