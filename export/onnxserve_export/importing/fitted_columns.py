"""What a pipeline of scikit-learn says of the columns of the table, or of the texts, that it was fitted to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from onnxserve_export.sources.functions import least_number
from onnxserve_export.sources.pipeline_columns import read_names, readers_of, reads_texts
from onnxserve_export.sources.vectorisers import lowered_columns

IMPUTER = "SimpleImputer"
Entry = dict[str, Any]  # fields of a column beside its name


def typed_columns(model: Any) -> list[str | dict[str, Any]]:
    """Return the columns with their types if something is known of them beside their names, else an empty list.

    A column is a text if a step knows texts of it. It may be null if all that read it fill it in: a text as they do,
    for a tensor of texts has no missing value; a number within the graph.
    """
    entries: dict[str, list[Entry]] = {}
    for names, chain in readers_of(model):
        for place, name in enumerate(names):
            entries.setdefault(name, []).append(_entry(place, chain))
    described = {name: _agreed(own) for name, own in entries.items()}
    for name in lowered_columns(model):
        described[name]["lower"] = True
    if not any(described.values()):
        return []
    return [{"name": name, **described[name]} if described.get(name) else name for name in read_names(model)]


def _agreed(entries: Sequence[Entry]) -> Entry:
    """Return what holds of a column for all the steps that read it; a text is one for all of them."""
    first = {field: value for entry in entries for field, value in entry.items()}
    shared = {"nullable", "fill"}
    return {
        field: value
        for field, value in first.items()
        if field not in shared or all(entry.get(field) == value for entry in entries)
    }


def _entry(place: int, chain: Sequence[Any]) -> Entry:
    """Return what the first steps know of one of their columns; steps behind an encoder see other columns."""
    if reads_texts(chain[0]):
        return {"type": "text"}
    if type(chain[0]).__name__ != IMPUTER:
        return _known(place, chain[0])
    fillings = chain[0].statistics_
    if is_dropped(fillings[place]):
        return {}
    behind = place - sum(map(is_dropped, fillings[:place]))
    return _filled(_known(behind, chain[1]) if len(chain) > 1 else {}, fillings[place])


def _filled(entry: Entry, filling: Any) -> Entry:
    """Return what is known of a column whose gaps an imputer fills in before the steps that know it.

    The graph has no gaps in texts and whole numbers: it gets the filling in their place.
    """
    kind, is_text = entry.get("type"), isinstance(filling, str)
    if kind is None:
        return entry if is_text else entry | {"nullable": True}
    if is_text:
        return entry | ({"nullable": True, "fill": str(filling)} if kind == "text" else {})
    if kind == "integer":
        is_whole = float(filling).is_integer()
        return entry | {"nullable": True, "fill": int(filling)} if is_whole else {"nullable": True}
    return entry


def _known(place: int, step: Any) -> Entry:
    """Return what a function or an encoder knows of one of its columns, nothing for another step."""
    if (least := least_number(step)) is not None:
        return {"minimum": least}
    categories = getattr(step, "categories_", None)
    if categories is None:
        return {}
    known, is_strict = [*categories[place]], getattr(step, "handle_unknown", "") == "error"
    if any(isinstance(category, str) for category in known):
        is_closed = is_strict and all(isinstance(category, str) for category in known)
        return {"type": "text"} | ({"categories": [str(category) for category in known]} if is_closed else {})
    return _numbered(known, is_strict=is_strict)


def _numbered(known: Sequence[Any], *, is_strict: bool) -> Entry:
    """Return what an encoder's categories say of a column that aren't texts: that it has truth values or whole numbers.

    The graph would take a fraction for a whole number, and fails on a number that a strict encoder doesn't know.
    """
    if all(isinstance(category, bool | np.bool_) for category in known):
        return {"type": "boolean"}
    if not all(isinstance(category, int | float | np.number) and float(category).is_integer() for category in known):
        return {}
    numbers = sorted(map(int, known))
    is_range = is_strict and numbers == [*range(numbers[0], numbers[-1] + 1)]
    return {"type": "integer"} | ({"minimum": numbers[0], "maximum": numbers[-1]} if is_range else {})


def is_dropped(filling: Any) -> bool:
    """Return whether an imputer drops a column, as it does with one that had no value: nothing could fill it in."""
    return isinstance(filling, float | np.floating) and bool(np.isnan(filling))
