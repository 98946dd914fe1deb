"""Which steps of a scikit-learn pipeline read each column of the table, or the texts, that it was fitted to."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

VECTORISERS = ("CountVectorizer", "TfidfVectorizer", "HashingVectorizer")
TEXT = "text"  # the column of a model that was fitted to texts alone, whose column has no name


def steps_of(part: Any) -> list[Any]:
    """Return the steps of a pipeline in their order; a model that is no pipeline is its only step."""
    return [step for _, step in part.steps] if hasattr(part, "steps") else [part]


def parts(model: Any) -> list[Any]:
    """Return the steps of a pipeline, a ColumnTransformer or a FeatureUnion, and theirs, the outer ones first."""
    fields = ("steps", "transformers_", "transformer_list")
    own = [entry[1] for field in fields for entry in getattr(model, field, ())]
    return [part for step in own for part in (step, *parts(step))]


def is_vectoriser(step: Any) -> bool:
    """Return whether a step counts the words of texts."""
    return any(cls.__name__ in VECTORISERS for cls in type(step).__mro__)


def reads_texts(part: Any) -> bool:
    """Return whether a model or step takes a list of texts in place of a table."""
    first = steps_of(part)[0]
    return is_vectoriser(first) or any(reads_texts(step) for _, step in getattr(first, "transformer_list", ()))


def has_names(model: Any) -> bool:
    """Return whether a model was fitted to a data frame, whose columns have names."""
    return getattr(model, "feature_names_in_", None) is not None


def names_of(model: Any) -> list[str]:
    """Return the names of the columns that a model was fitted to, `x0`, `x1`, … where it knows only their number."""
    if reads_texts(model):
        return [TEXT]
    if has_names(model):
        return [str(name) for name in model.feature_names_in_]
    return [f"x{place}" for place in range(int(getattr(model, "n_features_in_", 0)))]


def branches_of(model: Any) -> list[tuple[Any, Any]]:
    """Return each branch of a ColumnTransformer that comes first, and its columns; empty for another model."""
    return [(branch, columns) for _, branch, columns in getattr(steps_of(model)[0], "transformers_", ())]


def readers_of(model: Any) -> Iterator[tuple[list[str], list[Any]]]:
    """Yield the names of columns with the chain of steps that reads them; a column may have several chains."""
    names = names_of(model)
    if not (branches := branches_of(model)):
        yield names, steps_of(model)
    for branch, columns in branches:
        yield _chosen(columns, names), steps_of(branch)


def _chosen(columns: Any, names: Sequence[str]) -> list[str]:
    """Return the names of a branch's columns, which it has by name, by place, as a slice or as a mask."""
    if isinstance(columns, slice):
        return list(_sliced(columns, names))
    chosen = np.atleast_1d(columns if isinstance(columns, str | int | np.integer) else list(columns))
    if chosen.dtype.kind in "UO":
        return [str(name) for name in chosen]
    return [names[place] for place in np.arange(len(names))[chosen]] if len(chosen) else []


def _sliced(columns: slice, names: Sequence[str]) -> Sequence[str]:
    """Return the names in a slice; one that ends with a name includes it, as in pandas."""
    start, stop = (names.index(end) if isinstance(end, str) else end for end in (columns.start, columns.stop))
    return names[start : stop + 1 if isinstance(columns.stop, str) else stop : columns.step]
