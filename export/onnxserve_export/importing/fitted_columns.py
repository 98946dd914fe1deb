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
    entry = _known(behind, chain[1]) if len(chain) > 1 else {}
    if ("type" in entry) == isinstance(fillings[place], str):
        entry["nullable"] = True
        if "type" in entry:
            entry["fill"] = str(fillings[place])
    return entry


def _known(place: int, step: Any) -> Entry:
    """Return what a function or an encoder knows of one of its columns, nothing for another step."""
    if (least := least_number(step)) is not None:
        return {"minimum": least}
    known = getattr(step, "categories_", None)
    if known is None or not any(isinstance(category, str) for category in known[place]):
        return {}
    if getattr(step, "handle_unknown", "") == "error" and all(isinstance(category, str) for category in known[place]):
        return {"type": "text", "categories": [str(category) for category in known[place]]}
    return {"type": "text"}


def is_dropped(filling: Any) -> bool:
    """Return whether an imputer drops a column, as it does with one that had no value: nothing could fill it in."""
    return isinstance(filling, float | np.floating) and bool(np.isnan(filling))
