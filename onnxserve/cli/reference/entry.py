"""One entry of the reference: a field, an option or a variable."""

from __future__ import annotations

import re
from typing import NamedTuple

UNIT = re.compile(r" \[([^\]]+)\]")


class Entry(NamedTuple):
    """What the reference says of a setting; `where` is its table, command or reader."""

    where: str
    name: str
    type: str
    unit: str
    default: str
    meaning: str
    variable: str = ""


def split_unit(text: str) -> tuple[str, str]:
    """Return a meaning without its `[unit]`, and the unit; empty where there is none."""
    unit = UNIT.search(text)
    return (text, "") if unit is None else (text[: unit.start()] + text[unit.end() :], unit[1])
