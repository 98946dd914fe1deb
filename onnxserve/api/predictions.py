"""Predictions for some rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, overload

import msgspec

from .markup import render

SHOWN = 20  # rows in a notebook
WIDTH = 160  # characters of a prediction in a notebook


class Predictions(Sequence[Any]):
    """A prediction for each row, in the rows' order, as a client gets it in JSON: `{"label": "cat", "score": 0.98}`.

    `model` and `version` say which version answered. docs/guides/models.md has the form of each task's predictions.
    """

    def __init__(self, values: Sequence[Any], model: str, version: str) -> None:
        self._values = list(values)
        self.model = model
        self.version = version

    @overload
    def __getitem__(self, index: int) -> Any: ...

    @overload
    def __getitem__(self, index: slice) -> Predictions: ...

    def __getitem__(self, index: int | slice) -> Any:
        if isinstance(index, slice):
            return Predictions(self._values[index], self.model, self.version)
        return self._values[index]

    def __len__(self) -> int:
        return len(self._values)

    def __eq__(self, other: object) -> bool:
        return self._values == (other._values if isinstance(other, Predictions) else other)

    __hash__ = None  # type: ignore[assignment]  # as a list's, its values may change

    def __repr__(self) -> str:
        return f"<Predictions of {self.model} {self.version}: {self._values!r}>"

    def _repr_html_(self) -> str:
        names = field_names(self._values)
        rows = [[shorten(value.get(name)) for name in names] if names else [shorten(value)] for value in self[:SHOWN]]
        more = max(0, len(self) - SHOWN)
        names = names or ["prediction"]
        return render("predictions", model=self.model, version=self.version, names=names, rows=rows, more=more)


def field_names(values: Sequence[Any]) -> list[str]:
    """Return the fields of predictions that are objects, in the order in which they come; none for any other."""
    if not all(isinstance(value, Mapping) for value in values):
        return []
    return list(dict.fromkeys(name for value in values for name in value))


def shorten(value: Any) -> str:
    """Return a value as a table shows it: a text as it is, anything else as JSON, cut where it is long."""
    text = value if isinstance(value, str) else "" if value is None else msgspec.json.encode(value).decode()
    return text if len(text) <= WIDTH else f"{text[:WIDTH]}…"
