"""Categories that aren't texts: one spelling for each number and truth value, whatever a client or a file writes."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any

TRUTHS = {"true": True, "false": False}


def category_text(value: Any) -> str:
    """Return the text of a category: 10 of 10.0, 1 of true, ISO 8601 of a date, and a text as it is."""
    if hasattr(value, "item"):  # numpy's
        value = value.item()
    if isinstance(value, bool) or (isinstance(value, float) and value.is_integer()):
        return str(int(value))
    return value.isoformat() if isinstance(value, date) else str(value)


def spelling(value: Any) -> str | None:
    """Return the one spelling of a number or truth value, also of its text such as 10.0 or True; None for others."""
    if isinstance(value, str):
        text = value.strip()
        if (truth := TRUTHS.get(text.lower())) is not None:
            return category_text(truth)
        try:
            value = float(text)
        except ValueError:
            return None
    return category_text(value) if isinstance(value, bool | int | float) else None


def are_spelt(categories: Sequence[str]) -> bool:
    """Return whether all categories are numbers in their one spelling, so that any other spelling means them too."""
    return bool(categories) and all(spelling(category) == category for category in categories)


def number_of(category: str) -> int | float:
    """Return the number that a category in its one spelling is."""
    number = float(category)
    return int(number) if number.is_integer() else number
