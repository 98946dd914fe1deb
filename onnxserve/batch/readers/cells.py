"""Cells of files as a client would send them in JSON, by the types of the model's columns."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import Any

SIGNIFICANT = re.compile(r"[^eE]*[1-9]")  # a digit other than 0 before the exponent
DIGITS = re.compile(r"[-+]?[0-9]+")
TRUTHS = {"true": True, "false": False, "1": True, "0": False}
TEXTS = ("category", "text")
# Kinds of a file's columns, or the beginnings of Arrow's names of types, that fit each type of the model's columns.
FITTING: Mapping[str, tuple[str, ...]] = {
    "number": ("number",),
    "integer": ("number",),
    "boolean": ("number",),
    "category": ("text", "number"),
    "text": ("text", "number"),
    "date": ("text", "date", "timestamp"),
}


def fits(type_name: str, kind: str) -> bool:
    """Return whether a file's column of this kind can hold a model's column of this type."""
    return kind == "any" or kind.startswith(FITTING[type_name])


def row_of(types: Mapping[str, str], values: Sequence[Any]) -> dict[str, Any]:
    """Return a row by column, in the order of `types`."""
    return {name: cell(kind, value) for (name, kind), value in zip(types.items(), values, strict=True)}


def cell(type_name: str, value: Any) -> Any:
    """Return a cell as JSON; what can't be converted stays, so that the handler says what is wrong with it."""
    if isinstance(value, str):
        return _text(type_name, value)
    if value is None or value != value:  # noqa: PLR0124 - NaN
        return None
    if isinstance(value, Decimal):
        value = int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, date):
        return value.isoformat()
    is_whole = isinstance(value, int) or (isinstance(value, float) and value.is_integer())
    if type_name == "boolean":
        return bool(value) if is_whole and value in (0, 1) else value
    if isinstance(value, bool):
        value = int(value)
    return str(int(value)) if type_name in TEXTS and is_whole else value


def _text(type_name: str, text: str) -> Any:
    if type_name == "text":
        return text
    if not text.strip():
        return None
    if type_name == "boolean":
        return TRUTHS.get(text.strip().lower(), text)
    if type_name not in ("number", "integer"):
        return text
    try:
        [value] = parse_numbers((text,))
    except ValueError:
        return text
    # A whole number beyond 2^53 may be refused, where the float beside it isn't.
    return int(text) if type_name == "integer" and value.is_integer() and DIGITS.fullmatch(text.strip()) else value


def parse_numbers(texts: Sequence[str]) -> list[float]:
    """Parse numbers; ValueError for forms that only Python accepts, and for tiny numbers that would become 0."""
    values = list(map(float, texts))
    joined = "".join(texts)
    if "_" in joined or not joined.isascii():
        raise ValueError(joined)
    if 0.0 in values and any(value == 0 and SIGNIFICANT.match(text) for value, text in zip(values, texts, strict=True)):
        raise ValueError(joined)
    return values
