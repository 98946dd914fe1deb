"""Columns of a table: which values each takes, and what the graph gets for them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import msgspec

Type = Literal["number", "integer", "boolean", "category", "text", "date"]
Dtype = Literal["float32", "float64", "int32", "int64", "bool", "string"]
DTYPES: Mapping[str, Dtype] = {"integer": "int64", "boolean": "bool", "category": "int64", "text": "string"}
FLOATS = ("float32", "float64")
NAN_FIX = "give `fill` for null, and a code for `unknown`"


class Column(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One column of a table; a name alone in `columns` stands for a column of numbers."""

    name: str
    """Name of the column."""
    type: Type = "number"
    """Values: numbers, whole numbers, booleans, texts of a list (category), any texts, or dates as texts in ISO 8601.

    The graph gets 1 for true, a category's place in `categories`, and the time since `since` for a date.
    """
    minimum: float | None = None
    """Smallest number that is accepted."""
    maximum: float | None = None
    """Largest number that is accepted."""
    categories: tuple[str, ...] = ()
    """Texts of a category, in the order of their codes 0, 1, …; or the only texts of a column of texts."""
    unknown: Literal["refuse", "nan"] | int = "refuse"
    """What any other category becomes: `refuse` answers 422, `nan` gives the graph NaN, a number is its code."""
    nullable: bool = False
    """Whether null is accepted: the graph gets NaN, or `fill`."""
    fill: bool | float | str | None = None
    """What the graph gets for null: a value of the column, or a number."""
    lower: bool = False
    """Whether the graph gets a text in lower case."""
    unit: Literal["days", "seconds"] = "days"
    """Unit of a date's number."""
    since: str = "1970-01-01"
    """Date from which dates are counted; a time without a zone is in UTC."""
    dtype: Dtype | None = None
    """Type of the column's own tensor, with `tensors = "columns"`; by default float32 for numbers, int64 for codes."""

    def __post_init__(self) -> None:
        """Raise ValueError, which names the column, for fields that don't fit together."""
        if fault := _fault(self):
            raise ValueError(f"column {self.name!r}: {fault}")

    @property
    def is_plain(self) -> bool:
        """Whether it takes any number, or null for NaN."""
        plain = self.type == "number" and self.minimum is None and self.maximum is None
        return plain and self.fill is None and self.dtype is None

    @property
    def own_dtype(self) -> Dtype:
        """The type of the column's own tensor."""
        return self.dtype or DTYPES.get(self.type, "float32")

    @property
    def needs_nan(self) -> bool:
        """Whether the graph would get NaN from a tensor of the column's own type, which has none."""
        wants_nan = (self.nullable and self.fill is None) or self.unknown == "nan"
        return wants_nan and self.own_dtype not in FLOATS

    @property
    def edges(self) -> tuple[float, ...]:
        """The edges between the bins of drift that the type gives: one bin for each category and one for others."""
        if self.type == "boolean":
            return (0.5,)
        return tuple(place + 0.5 for place in range(len(self.categories)))


def as_column(column: str | Column) -> Column:
    """Return a column of numbers for a name."""
    return Column(column) if isinstance(column, str) else column


def _fault(column: Column) -> str:
    checks = (
        (column.type == "category" and not column.categories, "a category needs `categories`"),
        (bool(column.categories) and column.type not in ("category", "text"), "only categories have `categories`"),
        (len(set(column.categories)) != len(column.categories), "categories must differ from each other"),
        (column.unknown != "refuse" and column.type != "category", "only categories have `unknown`"),
        (_has_limits(column) and column.type not in ("number", "integer"), "only numbers have minimum and maximum"),
        (_is_empty_range(column), "minimum is above maximum"),
        (column.lower and column.type != "text", "only texts have `lower`"),
        (column.fill is not None and not column.nullable, "`fill` needs nullable = true"),
        ((column.dtype == "string") != (column.type == "text") and column.dtype is not None, _dtype_fault(column)),
        (column.type == "number" and column.dtype not in (None, *FLOATS), _fraction_fault(column)),
        (column.dtype is not None and column.needs_nan, f"{column.dtype} has no NaN: {NAN_FIX}"),
    )
    return next((text for is_wrong, text in checks if is_wrong), "")


def _fraction_fault(column: Column) -> str:
    return f'a number may have a fraction, which {column.dtype} can\'t hold: set type = "integer", or dtype = "float32"'


def _has_limits(column: Column) -> bool:
    return column.minimum is not None or column.maximum is not None


def _is_empty_range(column: Column) -> bool:
    return column.minimum is not None and column.maximum is not None and column.minimum > column.maximum


def _dtype_fault(column: Column) -> str:
    return "a text's tensor is of type string" if column.type == "text" else "only texts have tensors of type string"
