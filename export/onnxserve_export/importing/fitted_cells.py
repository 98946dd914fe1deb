"""What the cells of rows are, column by column: empty, true or false, or something else."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from onnxserve.batch.part import ALBUMS, Source
from onnxserve.batch.sources import find_sources
from onnxserve.errors import BatchError, DefinitionError
from onnxserve_export.row_columns import SINGLE
from onnxserve_export.row_files import available_columns, records

EMPTY, TRUTH, OTHER = "empty", "truth", "other"
TRUTHS = ("true", "false")  # in CSV, whatever their case


def cells_of(rows: Path | None, inputs: Sequence[str], names: Sequence[str]) -> Mapping[str, set[str]]:
    """Return what the cells of each of the model's columns `names` are, which the file calls `inputs`.

    Nothing where rows aren't files of records.
    """
    kinds = dict[str, set[str]]()
    try:
        for file in _files_of(rows):
            for name, value in _cells_in(file, inputs, names):
                kinds.setdefault(name, set()).add(kind_of(value))
    except (BatchError, DefinitionError):  # the export says what is wrong with the rows, and where
        return {}
    return kinds


def kind_of(value: Any) -> str:
    """Return what a cell is."""
    if value is None or value == "" or (isinstance(value, float) and math.isnan(value)):
        return EMPTY
    is_truth = isinstance(value, bool) or (isinstance(value, str) and value.strip().lower() in TRUTHS)
    return TRUTH if is_truth else OTHER


def _files_of(rows: Path | None) -> Sequence[Source]:
    if rows is None:
        return ()
    files, _ = find_sources([str(rows)])
    return () if files[0].kind in ALBUMS else files


def _cells_in(file: Source, inputs: Sequence[str], names: Sequence[str]) -> Iterator[tuple[str, Any]]:
    """Yield the model's names of columns, and their cells."""
    available = available_columns(file)
    if SINGLE[0] in available:  # a row as a client sends it
        for row in records(file, SINGLE[:1]):
            yield from _by_name(row, names).items()
        return
    own = {column: name for column, name in zip(inputs, names, strict=False) if column in available}
    for row in records(file, [*own]) if own else ():
        yield from ((name, row.get(column, "")) for column, name in own.items())


def _by_name(row: Any, names: Sequence[str]) -> Mapping[str, Any]:
    """Return a row's values by the names of its columns; nothing for what is no row, which the export refuses."""
    value = row.get(SINGLE[0])
    if isinstance(value, list):
        return dict(zip(names, value, strict=False))
    return {name: value[name] for name in names if name in value} if isinstance(value, dict) else {}
