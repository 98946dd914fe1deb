"""Values of a table's columns: JSON -> checked values -> what the graph takes; and their schema, measures and samples.

A checked value is a float: a number, a category's place in the column's list, a date's count of days or seconds. It is
NaN for null, and a text in columns of texts. `graph_values` makes what the graph takes of many at once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from ..errors import InvalidRow
from ..protocols.body import json_type
from ..signature import Schema
from .table_categories import are_spelt, number_of, spelling
from .table_columns import Column

Cell = float | str
EXACT = {"float32": 2**24, "float64": 2**53}  # whole numbers up to here have a float of their own
LARGEST = 1e30  # of a number in schemas: float32 holds no more than 3.4e38
UNITS = {"days": timedelta(days=1), "seconds": timedelta(seconds=1)}
FORMATS = {"days": "date", "seconds": "date-time"}  # of JSON schema
FINITE_FIX = "send a number that the type of the graph's input holds"
DATE_FIX = "send a text such as 2024-02-29 or 2024-02-29T12:00:00Z"
MISSING = ".missing"  # the end of the measure that counts a column's nulls
SAMPLE_DAYS = 20_000
SAMPLE_NULLS = SAMPLE_UNKNOWN = 0.1
SHOWN = 9


def value_fault(column: Column) -> str:
    """Return what is wrong with `since` or `fill`, empty if nothing is."""
    try:
        if column.type == "date":
            parse_time(column.since)
        null_value(column)
    except InvalidRow as error:
        return f"column {column.name!r}: fill: {error.reason}"
    except ValueError as error:
        return f"column {column.name!r}: since: {error}"
    return ""


def parse_time(text: str) -> datetime:
    """Return the time of a date or time in ISO 8601; ValueError for any other text."""
    time = datetime.fromisoformat(text)
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def null_value(column: Column) -> Cell:
    """Return what the graph gets for null."""
    if column.fill is None:
        return float("nan")
    is_number = isinstance(column.fill, int | float) and not isinstance(column.fill, bool)
    if is_number and column.type != "text":
        return float(column.fill)
    return CellReader(msgspec.structs.replace(column, nullable=False, fill=None)).read(column.fill, column.name)


class CellReader:
    """Checks the values of one column; `dtype` is that of the tensor which holds them."""

    def __init__(self, column: Column, dtype: str = "float64") -> None:
        self.column = column
        self._codes = {category: float(place) for place, category in enumerate(column.categories)}
        self._known = frozenset(column.categories)
        self._is_spelt = are_spelt(column.categories)
        self._since = parse_time(column.since) if column.type == "date" else None
        self._dtype = dtype if dtype in EXACT else "float64"
        self._largest = float(np.finfo(self._dtype).max)
        self._bounds = self._whole_bounds(dtype)
        readers: dict[str, Callable[[Any, str], Cell]] = {
            "number": self._number,
            "integer": self._integer,
            "boolean": self._boolean,
            "category": self._category,
            "text": self._text,
            "date": self._date,
        }
        self._read = readers[column.type]

    @staticmethod
    def _whole_bounds(dtype: str) -> tuple[int, int]:
        if dtype in EXACT:
            return -EXACT[dtype], EXACT[dtype]
        if dtype in ("int32", "int64"):
            # A checked value is a float64, which counts no further.
            limits = np.iinfo(dtype)
            return max(limits.min, -EXACT["float64"]), min(limits.max, EXACT["float64"])
        return 0, 1

    def read(self, value: Any, where: str) -> Cell:
        """Return a checked value; raises InvalidRow."""
        if value is None:
            if not self.column.nullable:
                raise InvalidRow(
                    f"expected {self._expected}, got null", where=where, fix="send a value: the column isn't nullable"
                )
            return float("nan")
        return self._read(value, where)

    @property
    def _expected(self) -> str:
        names = {"integer": "a whole number", "boolean": "true or false", "date": "a date", "number": "a number"}
        return names.get(self.column.type, "a string")

    def _wrong(self, value: Any, where: str, fix: str = "") -> InvalidRow:
        quotes = "with" if self._expected == "a string" else "without"
        fix = fix or f"send {self._expected}, {quotes} quotes"
        return InvalidRow(f"expected {self._expected}, got {json_type(value)}", where=where, fix=fix)

    def _number(self, value: Any, where: str) -> float:
        # bool is an int in Python, but not a number here.
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self._wrong(value, where)
        # The comparison is also false for NaN, and for integers that are too long for a float.
        if not abs(value) <= self._largest:
            raise InvalidRow(f"the number is not finite in {self._dtype}", where=where, fix=FINITE_FIX)
        return self._in_range(float(value), where)

    def _integer(self, value: Any, where: str) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float) or value != value:  # noqa: PLR0124 - NaN
            raise self._wrong(value, where)
        low, high = self._bounds
        if not low <= value <= high:
            reason = f"the number is outside {low} to {high}, which the graph holds exactly"
            raise InvalidRow(reason, where=where, fix="send a number within these limits")
        if value != int(value):
            raise InvalidRow("expected a whole number, got a fraction", where=where, fix="round it")
        return self._in_range(float(value), where)

    def _in_range(self, value: float, where: str) -> float:
        low, high = self.column.minimum, self.column.maximum
        if (low is not None and value < low) or (high is not None and value > high):
            bounds = [f"at least {low:g}"] if low is not None else []
            bounds += [f"at most {high:g}"] if high is not None else []
            reason = f"the number is out of range: {' and '.join(bounds)}"
            raise InvalidRow(reason, where=where, fix="send a number within this range")
        return value

    def _boolean(self, value: Any, where: str) -> float:
        if not isinstance(value, bool):
            raise self._wrong(value, where, "send true or false without quotes")
        return float(value)

    def _category(self, value: Any, where: str) -> float:
        known = spelling(value) if self._is_spelt else None
        if known is None and not isinstance(value, str):
            raise self._wrong(value, where)
        code = self._codes.get(known or value)
        if code is None and self.column.unknown == "refuse":
            raise self._unknown(where)
        return float(len(self._codes)) if code is None else code

    def _text(self, value: Any, where: str) -> str:
        if not isinstance(value, str):
            raise self._wrong(value, where)
        if self._known and value not in self._known:
            raise self._unknown(where)
        return value

    def _unknown(self, where: str) -> InvalidRow:
        known = self.column.categories
        more = f" and {len(known) - SHOWN} more" if len(known) > SHOWN else ""
        fix = f"send one of {', '.join(known[:SHOWN])}{more}"
        return InvalidRow("this category is unknown to the model", where=where, fix=fix)

    def _date(self, value: Any, where: str) -> float:
        if not isinstance(value, str):
            raise self._wrong(value, where, DATE_FIX)
        try:
            passed = parse_time(value) - (self._since or parse_time(self.column.since))
        except ValueError as error:
            raise InvalidRow("this isn't a date in ISO 8601", where=where, fix=DATE_FIX) from error
        return passed / UNITS[self.column.unit]


def graph_values(column: Column, cells: Sequence[Cell]) -> npt.NDArray[Any]:
    """Return what the graph takes for checked values, shape (rows,): float64, or texts as Python's objects.

    Numpy's own texts would all take as much memory as the longest one.
    """
    if column.type == "text":
        fill = str(null_value(column))
        texts = (cell if isinstance(cell, str) else fill for cell in cells)
        return np.array([text.lower() if column.lower else text for text in texts], object)
    values = np.array(cells, np.float64)
    if column.type == "category" and column.unknown != "refuse":
        code = np.nan if column.unknown == "nan" else column.unknown
        values = np.where(values == len(column.categories), code, values)
    if column.fill is not None:
        values = np.where(np.isnan(values), null_value(column), values)
    return values


def cell_measures(column: Column, cells: Sequence[Cell]) -> dict[str, npt.NDArray[np.float64]]:
    """Return what drift compares, shape (rows,): values, NaN for null; and for a nullable column, which are null."""
    if column.type == "text":
        places = {category: float(place) for place, category in enumerate(column.categories)}
        missing = np.array([not isinstance(cell, str) for cell in cells])
        values = np.array([places.get(str(cell), float(len(str(cell)))) for cell in cells])
        values[missing] = np.nan
    else:
        values = np.array(cells, np.float64)
        missing = np.isnan(values)
    measures = {column.name: values}
    return measures | {column.name + MISSING: missing.astype(np.float64)} if column.nullable else measures


def cell_schema(column: Column) -> Schema:
    """Return the JSON schema of a column's values."""
    schema: Schema
    match column.type:
        case "number" | "integer":
            low = -LARGEST if column.type == "number" else -EXACT["float32"]
            high = LARGEST if column.type == "number" else EXACT["float32"]
            limits = {"minimum": low if column.minimum is None else column.minimum}
            schema = {"type": column.type} | limits | {"maximum": high if column.maximum is None else column.maximum}
        case "boolean":
            schema = {"type": "boolean"}
        case "date":
            schema = {"type": "string", "format": FORMATS[column.unit]}
        case _:
            known = [*column.categories] if column.categories and column.unknown == "refuse" else []
            schema = {"type": "string"} | ({"enum": known} if known else {})
            if column.type == "category" and are_spelt(column.categories):
                numbers = {"enum": [*map(number_of, known)]} if known else {"type": "number"}
                schema = {"anyOf": [schema, numbers]}
    return {"anyOf": [schema, {"type": "null"}]} if column.nullable else schema


def sample_cell(column: Column, draws: np.random.Generator) -> Any:
    """Return a random value as a client would send it; now and then null or another category, where it is accepted."""
    if column.nullable and draws.random() < SAMPLE_NULLS:
        return None
    if column.unknown != "refuse" and draws.random() < SAMPLE_UNKNOWN:
        return max(column.categories, key=len) + "?"  # longer than any, so it is none of them
    match column.type:
        case "number" | "integer":
            value = float(draws.normal() * 10.0 ** draws.uniform(-1, 1))
            low = -np.inf if column.minimum is None else column.minimum
            high = np.inf if column.maximum is None else column.maximum
            if np.isfinite(low) and np.isfinite(high):
                value = float(draws.uniform(low, high))
            value = float(np.clip(value, low, high))
            return round(value) if column.type == "integer" else value
        case "boolean":
            return bool(draws.integers(2))
        case "date":
            return (date(1970, 1, 1) + timedelta(days=int(draws.integers(SAMPLE_DAYS)))).isoformat()
        case _:
            return str(draws.choice(column.categories)) if column.categories else "text"
