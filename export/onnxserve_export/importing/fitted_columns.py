"""What a pipeline of scikit-learn says of the columns of the table, or of the texts, that it was fitted to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from onnxserve_export.sources.pipeline_columns import names_of, readers_of, reads_texts
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
    return [{"name": name, **described[name]} if described.get(name) else name for name in names_of(model)]


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
    fillings = getattr(chain[0], "statistics_", None) if type(chain[0]).__name__ == IMPUTER else None
    encoder: Any = chain[0] if fillings is None else chain[1] if len(chain) > 1 else None
    known = getattr(encoder, "categories_", None)
    entry: Entry = {}
    if known is not None and any(isinstance(category, str) for category in known[place]):
        entry["type"] = "text"
        if encoder.handle_unknown == "error" and all(isinstance(category, str) for category in known[place]):
            entry["categories"] = [str(category) for category in known[place]]
    if fillings is not None and ("type" in entry) == isinstance(fillings[place], str):
        entry["nullable"] = True
        if "type" in entry:
            entry["fill"] = str(fillings[place])
    return entry
