"""Rows and their labels, from wherever the definition says: a function, files, a folder, or the prediction log."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from onnxserve.batch.part import ALBUMS
from onnxserve.batch.sources import find_sources
from onnxserve.errors import BatchError, DefinitionError
from onnxserve.locations.filesystem import is_wild, wild_root
from onnxserve.locations.location import is_prediction_log

from .export_state import ExportState
from .logged_rows import read_logged_rows
from .plain_values import plain_value
from .row_files import read_files
from .row_folders import read_folder
from .user_code import call_function

PAIR = 2


def read_rows(state: ExportState) -> Iterator[tuple[Any, Any]]:
    """Yield input and label of every row, the label None for a row without one; DefinitionError for a bad row."""
    definition = state.definition
    if state.memory.rows is not None:
        return check_pairs(state.memory.rows, definition.rows.location, is_plain=definition.features is None)
    if not definition.rows.location:
        return iter(())
    if is_prediction_log(definition.rows.location):
        return read_logged_rows(definition, state.say)
    if state.row_files is None:
        returned = call_function(definition.rows.location, definition.folder, sources=state.sources)
        return check_pairs(returned, definition.rows.location, is_plain=definition.features is None)
    return _read_paths(state, state.row_files)


def check_pairs(returned: Iterable[Any], where: str, *, is_plain: bool) -> Iterator[tuple[Any, Any]]:
    """Yield what a function gave, with plain values; DefinitionError for anything but pairs."""
    try:
        rows = iter(returned)
    except TypeError as error:
        fix = "return or yield pairs (input, label); the label may be None"
        raise DefinitionError(f"it gave {type(returned).__name__}, no rows", where=where, fix=fix) from error
    for number, row in enumerate(rows):
        place = f"{where}, row {number}"
        if not isinstance(row, list | tuple) or len(row) != PAIR:
            fix = "return or yield pairs (input, label); the label may be None"
            raise DefinitionError(f"a row is {type(row).__name__}, no pair of input and label", where=place, fix=fix)
        value, label = row
        yield plain_value(value, place) if is_plain else value, plain_value(label, place)


def _read_paths(state: ExportState, path: Path) -> Iterator[tuple[Any, Any]]:
    try:
        sources, skipped = find_sources([str(path)])
    except BatchError as error:
        fix = "rows are Parquet, Arrow, CSV or JSON lines, or a folder of images or sounds"
        raise DefinitionError(error.what, where=error.where, fix=fix) from error
    if skipped:
        state.say(f"      skipped {len(skipped)} files of another kind, such as {Path(skipped[0]).name}")
    if sources[0].kind in ALBUMS:
        root = path if path.exists() or not is_wild(str(path)) else Path(wild_root(str(path)))
        return read_folder(sources[0], root, state.definition)
    return read_files(sources, state.definition)
