"""Which columns of a fitted model's table may be empty: as its trees have learnt it, and as rows are."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from onnxserve.batch.part import ALBUMS, Source
from onnxserve.batch.sources import find_sources
from onnxserve.errors import BatchError, DefinitionError
from onnxserve_export.arrays import Array
from onnxserve_export.row_columns import SINGLE
from onnxserve_export.row_files import available_columns, records
from onnxserve_export.sources.trees import TreeSource

from .outline import Outline

FEATURES, DECISIONS = "split_feature=", "decision_type="  # lines of a tree in LightGBM's text
MISSING_KIND, MISSING_NAN = 2, 2  # the first of two bits of a decision type, and their value where NaN was learnt
Column = str | dict[str, Any]


def read_gaps(outline: Outline, source: TreeSource, rows: Path | None) -> None:
    """Let columns of numbers take null where the model or `rows` say so; a column that the user described stays."""
    columns: Sequence[Column] = outline.get("input.columns", [])
    names = [str(column["name"]) if isinstance(column, dict) else column for column in columns]
    plain = [column for column in columns if isinstance(column, str)]
    if not plain:
        return
    learnt = {names[place] for place in learnt_gaps(source) if place < len(names)} & {*plain}
    is_frame = outline.get("input.tensors") == "columns"
    empty = {
        name
        for name in empty_columns(outline, rows, names) & {*plain}
        if takes_gap(source, columns, name, is_frame=is_frame)
    }
    if gaps := learnt | empty:
        described = [
            {"name": column, "nullable": True} if isinstance(column, str) and column in gaps else column
            for column in columns
        ]
        origins = ["the trees have learnt" * bool(learnt), "the rows have" * bool(empty - learnt)]
        outline.replace("input.columns", described, f"{' and '.join(filter(None, origins))} missing values")


def learnt_gaps(source: TreeSource) -> set[int]:
    """Return the places of columns of which LightGBM's trees have learnt what NaN means.

    The two bits above the lowest two of a decision type are 0 where no value was missing, 1 for zero and 2 for NaN:
    https://github.com/microsoft/LightGBM/blob/v4.6.0/include/LightGBM/tree.h, `GetMissingType`. The files of other
    libraries don't say it.
    """
    if source.name != "lightgbm":
        return set()
    places, features = set[int](), list[str]()
    for line in getattr(source.model, "booster_", source.model).model_to_string().splitlines():
        if line.startswith(FEATURES):
            features = line.removeprefix(FEATURES).split()
        elif line.startswith(DECISIONS):
            kinds = map(int, line.removeprefix(DECISIONS).split())
            pairs = zip(features, kinds, strict=True)
            places |= {int(feature) for feature, kind in pairs if kind >> MISSING_KIND & 3 == MISSING_NAN}
    return places


def takes_gap(source: TreeSource, columns: Sequence[Column], gap: str, *, is_frame: bool) -> bool:
    """Return whether a model, of a data frame if `is_frame`, answers a row without a value of the column `gap`."""
    row = dict(_example(column, gap) for column in columns)
    try:
        source.answer(row if is_frame else {"features": np.concatenate(list(row.values()), axis=1)})
    except Exception:  # noqa: BLE001 - whatever the model raises; the export says which row has the gap
        return False
    return True


def _example(column: Column, gap: str) -> tuple[str, Array]:
    """Return a column's name and a value of it, shape (1, 1): a text that is known, NaN for `gap`, else zero."""
    fields = column if isinstance(column, dict) else {"name": column}
    if fields.get("type") == "text":
        known = [*fields.get("categories", ()), fields.get("fill", "")]
        return fields["name"], np.array([[known[0]]])
    return fields["name"], np.array([[np.nan if fields["name"] == gap else 0]], np.float32)


def empty_columns(outline: Outline, rows: Path | None, names: Sequence[str]) -> set[str]:
    """Return the columns that some row of a file leaves empty; none where rows aren't files of records."""
    if rows is None:
        return set()
    try:
        files, _ = find_sources([str(rows)])
        if files[0].kind in ALBUMS:
            return set()
        return set().union(*(_empty_in(file, outline.get("rows.input", names), names) for file in files))
    except (BatchError, DefinitionError):  # the export says what is wrong with the rows, and where
        return set()


def _empty_in(file: Source, inputs: Sequence[str], names: Sequence[str]) -> set[str]:
    """Return the model's columns that some row of a file leaves empty; `inputs` are the file's names of them."""
    available = available_columns(file)
    if SINGLE[0] in available:  # a row as a client sends it
        rows = (_by_name(row, names) for row in records(file, SINGLE[:1]))
        return {name for row in rows for name in names if name in row and is_empty(row[name])}
    own = {column: name for column, name in zip(inputs, names, strict=False) if column in available}
    return {name for row in records(file, [*own]) for column, name in own.items() if is_empty(row.get(column, ""))}


def _by_name(row: Any, names: Sequence[str]) -> Mapping[str, Any]:
    """Return a row's values by the names of its columns; nothing for what is no row, which the export refuses."""
    value = row.get(SINGLE[0])
    if isinstance(value, list):
        return dict(zip(names, value, strict=False))
    return value if isinstance(value, dict) else {}


def is_empty(value: Any) -> bool:
    """Return whether a cell of a file has no value."""
    return value is None or value == "" or (isinstance(value, float) and math.isnan(value))
