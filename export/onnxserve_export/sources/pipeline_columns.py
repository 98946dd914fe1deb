"""Which steps of a scikit-learn pipeline read each column of the table, or the texts, that it was fitted to."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from onnxserve_export.row_columns import unnamed

from .model_parts import steps_of

VECTORISERS = ("CountVectorizer", "TfidfVectorizer", "HashingVectorizer")
VOTING = "Voting"  # begins the names of ensembles whose members read the same table
TEXT = "text"  # the column of a model that was fitted to texts alone, whose column has no name
DROP = "drop"


def is_vectoriser(step: Any) -> bool:
    """Return whether a step counts the words of texts."""
    return any(cls.__name__ in VECTORISERS for cls in type(step).__mro__)


def voters(part: Any) -> list[Any]:
    """Return the fitted members of a vote, which all read what it reads; empty for another model."""
    return list(part.estimators_) if type(part).__name__.startswith(VOTING) else []


def reads_texts(part: Any) -> bool:
    """Return whether a model or step takes a list of texts in place of a table."""
    first = steps_of(part)[0]
    inner = [step for _, step in getattr(first, "transformer_list", ())] + voters(first)
    return is_vectoriser(first) or any(map(reads_texts, inner))


def has_names(model: Any) -> bool:
    """Return whether a model was fitted to a data frame, whose columns have names."""
    return getattr(model, "feature_names_in_", None) is not None


def names_of(model: Any) -> list[str]:
    """Return the names of the columns that a model was fitted to, `x0`, `x1`, … where it knows only their number."""
    if reads_texts(model):
        return [TEXT]
    if has_names(model):
        return [str(name) for name in model.feature_names_in_]
    return unnamed(int(getattr(model, "n_features_in_", 0)))


def takes_frame(model: Any) -> bool:
    """Return whether a model reads the columns of a data frame by their names, in one branch each or in several."""
    return has_names(model) and any(True for _ in _column_transformers(model))


def read_names(model: Any) -> list[str]:
    """Return the names of the columns that a model takes: of a data frame's those that it doesn't drop."""
    if not takes_frame(model):
        return names_of(model)
    known = {name for names, _ in readers_of(model) for name in names}
    return [name for name in names_of(model) if name in known]


def readers_of(model: Any) -> Iterator[tuple[list[str], list[Any]]]:
    """Yield the names of columns with the chain of steps that reads them; a column may have several chains."""
    yield from _readers(model, names_of(model))


def _readers(part: Any, names: list[str]) -> Iterator[tuple[list[str], list[Any]]]:
    steps = steps_of(part)
    if members := voters(steps[0]):
        for member in members:
            yield from _readers(member, names)
    elif hasattr(steps[0], "transformers_"):
        for branch, columns in branches_of(steps[0]):
            yield chosen(columns, names), steps_of(branch)
    else:
        yield names, steps


def encoded_names(model: Any) -> set[str]:
    """Return the names of columns that encoders read, whose numbers are codes."""
    chains = readers_of(model)
    return {name for names, chain in chains if any(hasattr(step, "categories_") for step in chain) for name in names}


def _column_transformers(part: Any) -> Iterator[Any]:
    """Yield the ColumnTransformers that read the table itself."""
    first = steps_of(part)[0]
    if hasattr(first, "transformers_"):
        yield first
    for member in voters(first):
        yield from _column_transformers(member)


def branches_of(transformer: Any) -> list[tuple[Any, Any]]:
    """Return each branch of a ColumnTransformer that reads columns, and these; others are dropped."""
    entries = [(branch, columns) for _, branch, columns in transformer.transformers_]
    return [(branch, columns) for branch, columns in entries if not (isinstance(branch, str) and branch == DROP)]


def name_columns(model: Any) -> None:
    """Let a model's branches have their columns by name, or by place where there are no names.

    The converter knows no masks, and counts places among the tensors that there are, which dropped columns aren't.
    """
    by_name = has_names(model)
    for transformer in _column_transformers(model):
        own: list[Any] = names_of(model)
        transformer.transformers_ = [
            (name, branch, chosen(columns, own) if by_name else [own.index(column) for column in chosen(columns, own)])
            for name, branch, columns in transformer.transformers_
        ]


def chosen(columns: Any, names: Sequence[str]) -> list[str]:
    """Return the names of a branch's columns, which it has by name, by place, as a slice or as a mask."""
    if isinstance(columns, slice):
        return list(_sliced(columns, names))
    places = np.atleast_1d(columns if isinstance(columns, str | int | np.integer) else list(columns))
    if places.dtype.kind in "UO":
        return [str(name) for name in places]
    return [names[place] for place in np.arange(len(names))[places]] if len(places) else []


def _sliced(columns: slice, names: Sequence[str]) -> Sequence[str]:
    """Return the names in a slice; one that ends with a name includes it, as in pandas."""
    start, stop = (names.index(end) if isinstance(end, str) else end for end in (columns.start, columns.stop))
    return names[start : stop + 1 if isinstance(columns.stop, str) else stop : columns.step]
