"""Which plain columns of a fitted table may be empty, or true and false: as its trees learnt it, and as rows are."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from onnxserve_export.arrays import Array
from onnxserve_export.sources.trees import TreeSource

from .fitted_cells import EMPTY, TRUTH, cells_of
from .outline import Outline

FEATURES, DECISIONS = "split_feature=", "decision_type="  # lines of a tree in LightGBM's text
MISSING_KIND, MISSING_NAN = 2, 2  # the first of two bits of a decision type, and their value where NaN was learnt
Column = str | dict[str, Any]


def read_gaps(outline: Outline, source: TreeSource, rows: Path | None) -> None:
    """Let columns of numbers take null, true and false where the model or `rows` say so.

    A column that the user described stays.
    """
    columns: Sequence[Column] = outline.get("input.columns", [])
    names = [str(column["name"]) if isinstance(column, dict) else column for column in columns]
    plain = [column for column in columns if isinstance(column, str)]
    if not plain:
        return
    is_frame = outline.get("input.tensors") == "columns"
    learnt = {names[place] for place in learnt_gaps(source) if place < len(names)} & {*plain}
    cells = cells_of(rows, outline.get("rows.input", names), names)
    empty = {
        name for name in plain if EMPTY in cells.get(name, ()) and takes_gap(source, columns, name, is_frame=is_frame)
    }
    truths = {name for name in plain if cells.get(name, {EMPTY}) - {EMPTY} == {TRUTH}}
    described = {
        name: _fields(is_truth=name in truths, is_nullable=name in learnt | empty, is_frame=is_frame) for name in plain
    }
    if not any(described.values()):
        return
    outline.replace(
        "input.columns",
        [
            {"name": column, **described[column]} if isinstance(column, str) and described[column] else column
            for column in columns
        ],
        _origin(learnt, empty, truths),
    )


def _fields(*, is_truth: bool, is_nullable: bool, is_frame: bool) -> dict[str, Any]:
    """Return the fields of a column; a tensor of truth values, which a frame's column has, has no place for NaN."""
    kind = ({"type": "boolean"} if is_truth else {}) | ({"nullable": True} if is_nullable else {})
    return kind | ({"dtype": "float32"} if is_truth and is_nullable and is_frame else {})


def _origin(learnt: set[str], empty: set[str], truths: set[str]) -> str:
    """Return where it was read that columns may be null, true or false."""
    gaps = ["the trees have learnt" * bool(learnt), "the rows have" * bool(empty - learnt)]
    parts = [f"{' and '.join(filter(None, gaps))} missing values" if any(gaps) else ""]
    parts += [f"the rows have true and false in {', '.join(sorted(truths))}"] if truths else []
    return "; ".join(filter(None, parts))


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
