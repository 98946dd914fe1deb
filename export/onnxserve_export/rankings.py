"""Which rows are judged together as rankings: the documents of a query, or a vector and those that it searches.

A ranking is one observation, since its rows aren't independent. So its documents lie in one subset, and certificates
count rankings, or queries where no labels rank their documents.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from onnxserve_handlers.tasks import TaskHooks

from .criterion import EMBEDDING
from .subset import Row

Groups = list[npt.NDArray[np.intp]]
MOST_SEARCHED = 1000  # vectors that each search compares


def rankings(rows: Iterable[Row], hooks: TaskHooks, form: str) -> Groups:
    """Return the indices of each ranking's rows; one whose documents are all as relevant says nothing, and is left out.

    There are none for a task that ranks nothing, nor where a row has no label.
    """
    if not hooks.ranking_name:
        return []
    pairs = [(None if form == EMBEDDING else hooks.query_of(row.value), row.label) for row in rows]
    labels = [label for _, label in pairs]
    if any(label is None for label in labels):
        return []
    return searches(labels) if form == EMBEDDING else documents([query for query, _ in pairs], labels)


def documents(queries: Sequence[str | None], grades: Sequence[Any]) -> Groups:
    """Return the rows of each query that has documents of two grades or more."""
    groups = [group for group in by_query(queries) if queries[group[0]] is not None]
    return [group for group in groups if len({float(grades[index]) for index in group}) > 1]


def by_query(queries: Iterable[str | None]) -> Groups:
    """Return the rows of each query; a row without one is alone."""
    rows: dict[str | int, list[int]] = {}
    for index, query in enumerate(queries):
        rows.setdefault(index if query is None else query, []).append(index)
    return [np.array(group) for group in rows.values()]


def searches(labels: Sequence[Any]) -> Groups:
    """Return for every second row that row, and the others, which it searches: given these, searches are independent.

    Left out are rows of whose label there is nothing to find, or nothing else.
    """
    names = [str(label) for label in labels]
    searched = range(0, len(names), 2)[:MOST_SEARCHED]
    known = {names[index] for index in searched}
    if len(known) < 2:
        return []
    return [np.array([index, *searched]) for index in range(1, len(names), 2) if names[index] in known]
