"""The error of a row, from the `error` object of an answer."""

from __future__ import annotations

import re
from collections.abc import Mapping

from onnxserve.errors import RowRefused

PLACE = re.compile(r"^instances\[(\d+)\]\.?")


def row_refused(error: Mapping[str, str], row: int | None = None) -> RowRefused:
    """Return the exception for an `error` object; `row` is the number of the row, from 0, else the object's own."""
    where = error.get("where", "")
    if row is None and (place := PLACE.match(where)):
        row = int(place[1])
    what = f"{error.get('type', 'error')}: {error.get('reason', 'no reason given')}"
    column = PLACE.sub("", where)
    place_text = where if row is None else f"row {row}" + (f", {column}" if column else "")
    return RowRefused(what, kind=error.get("type", ""), row=row, where=place_text, fix=error.get("fix", ""))
