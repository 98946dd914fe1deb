"""The error of a row, from the `error` object of an answer."""

from __future__ import annotations

import re
from collections.abc import Mapping

from onnxserve.errors import RowError

PLACE = re.compile(r"^instances\[(\d+)\]\.?")


def row_error(error: Mapping[str, str], row: int | None = None) -> RowError:
    """Return the exception for an `error` object; `row` is the number of the row, from 0, else the object's own."""
    where = error.get("where", "")
    if row is None and (place := PLACE.match(where)):
        row = int(place[1])
    column = PLACE.sub("", where)
    return RowError(
        type=error.get("type", "error"),
        reason=error.get("reason", "no reason given"),
        where=where if row is None else f"row {row}" + (f", {column}" if column else ""),
        remedy=error.get("fix", ""),
        row=row,
    )
