"""What a pipeline of scikit-learn says of the columns of the data frame that it was fitted to."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

IMPUTER = "SimpleImputer"


def typed_columns(model: Any) -> list[str | dict[str, Any]]:
    """Return the columns with their types if some of them are texts, else an empty list.

    A column is a text if an encoder knows texts of it. It may be null if the first step fills it in: a text as that
    step does, for a tensor of texts has no missing value; a number within the graph.
    """
    described = dict(_described(model))
    if not any("type" in entry for entry in described.values()):
        return []
    names = map(str, model.feature_names_in_)
    return [{"name": name, **described[name]} if described.get(name) else name for name in names]


def _described(model: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    names = [str(name) for name in getattr(model, "feature_names_in_", ())]
    first = model.steps[0][1] if hasattr(model, "steps") else model
    branches = getattr(first, "transformers_", None)
    if branches is None:
        yield from _of_chain(names, _chain(model))
        return
    for _, branch, columns in branches:
        yield from _of_chain(_names(columns, names), _chain(branch))


def _chain(part: Any) -> list[Any]:
    return [step for _, step in part.steps] if hasattr(part, "steps") else [part]


def _names(columns: Any, names: Sequence[str]) -> list[str]:
    """Return the names of a branch's columns, which may be places among all columns."""
    chosen = [columns] if isinstance(columns, str | int) else list(columns) if hasattr(columns, "__iter__") else []
    return [names[name] if isinstance(name, int) and not isinstance(name, bool) else str(name) for name in chosen]


def _of_chain(names: Sequence[str], chain: Sequence[Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield what the first steps know of their columns; steps behind an encoder see other columns."""
    fillings = getattr(chain[0], "statistics_", None) if type(chain[0]).__name__ == IMPUTER else None
    encoder = chain[0] if fillings is None else chain[1] if len(chain) > 1 else None
    categories = getattr(encoder, "categories_", None)
    for place, name in enumerate(names):
        entry: dict[str, Any] = {}
        if categories is not None and any(isinstance(category, str) for category in categories[place]):
            entry["type"] = "text"
        if fillings is not None and ("type" in entry) == isinstance(fillings[place], str):
            entry["nullable"] = True
            if "type" in entry:
                entry["fill"] = str(fillings[place])
        yield name, entry
