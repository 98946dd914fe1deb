"""What may be kept of a client's row: the fields of the archive's signature that nobody redacted, and nothing else.

By allow-list, since a client decides what else there is: other names, nested values, lists of another length, rows that
were refused. What isn't kept is replaced by a mark and counted.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from typing import Any, NamedTuple

import msgspec

from ..errors import RequestError
from ..request import Asked
from ..response import Answer
from ..signature import Signature

REDACTED = "redacted"
TEXT = "text"  # the field of a row that is a text
MOST_TEXT, MOST_ROWS = 2_000, 32  # characters of a text, rows of a request
TEXTS = (str, bytes, bytearray)
SERVERS_FAULT = 500  # errors below are about what the client sent
SINGLE = (bool, int, float, str, type(None))  # values of a field; anything else could hold more than one
ID = re.compile(r"[A-Za-z0-9_.:=+/@-]{1,128}")  # of a request, as the gateway lets it through


class Kept(NamedTuple):
    """A row as JSON, None where its kind is never kept, and how many values the mark stands for."""

    row: str | None
    redacted: int = 0


class Redaction:
    """The rule for rows of one archive; `hidden` are names of fields, in whatever case."""

    def __init__(self, signature: Signature, hidden: Iterable[str] = ()) -> None:
        folded = {folded_name(name) for name in hidden}
        entities = signature.features.entities if signature.features else ()
        self._columns = signature.input.columns
        self._fields = frozenset(name for name in (*self._columns, *entities) if folded_name(name) not in folded)
        self._known = frozenset((*self._columns, *entities))
        self._is_image = bool(signature.input.height)
        self._keeps_text = TEXT not in folded
        self._labels: Collection[str] = frozenset(signature.labels)

    def row(self, value: Any) -> Kept:
        """A row that the handler accepted."""
        if value is None or self._is_image or hasattr(value, "dtype"):
            return Kept(None)
        if self._columns:
            return self._table_row(value)
        text = decoded(value)
        if text is None or not self._keeps_text:
            return marked(value)
        return Kept(encoded(text[:MOST_TEXT]))

    def _table_row(self, value: Any) -> Kept:
        if isinstance(value, list | tuple) and len(value) == len(self._columns):
            value = dict(zip(self._columns, value, strict=True))
        if not isinstance(value, dict):
            return marked(value)
        fields, redacted = dict[str, Any](), 0
        for name, field in value.items():
            if name in self._fields and isinstance(field, SINGLE):
                fields[name] = field[:MOST_TEXT] if isinstance(field, str) else field
            else:
                redacted += 1
                if name in self._known:  # another name is a client's own words
                    fields[name] = REDACTED
        return Kept(encoded(fields), redacted)

    def label(self, value: Any) -> str | None:
        """A label of the signature's; the mark in place of any other."""
        if value is None:
            return None
        return value if isinstance(value, str) and value in self._labels else REDACTED


def rows_of(one: Asked, result: Answer | RequestError | None) -> list[Any] | None:
    """The rows of a request, the first ones of many; a row that was refused is its mark already."""
    given = one.values if one.values is not None else one.rows
    if given is None:
        return None
    refused = one.error is None and isinstance(result, RequestError) and result.status < SERVERS_FAULT

    def is_refused(place: int) -> bool:
        return one.error is not None and (one.rows is None or isinstance(one.rows[place], RequestError))

    return [
        marked(value) if refused or is_refused(place) else value[: 4 * MOST_TEXT] if isinstance(value, TEXTS) else value
        for place, value in enumerate(given[:MOST_ROWS])
    ]


def marked(value: Any) -> Kept:
    """A row that is not kept; the number of its values, as far as they can be counted."""
    return Kept(encoded(REDACTED), max(1, len(value)) if isinstance(value, list | tuple | dict) else 1)


def decoded(value: Any) -> str | None:
    """A text, or its bytes; None for anything else."""
    if isinstance(value, bytes | bytearray):
        return bytes(value[: 4 * MOST_TEXT]).decode("utf-8-sig", "replace")
    return value if isinstance(value, str) else None


def encoded(value: Any) -> str:
    """JSON."""
    return msgspec.json.encode(value).decode()


def folded_name(name: str) -> str:
    """A name as it is compared with what people write."""
    return name.strip().casefold()


def safe_id(value: Any) -> str:
    """A request's id; empty where a client that no gateway stands before sent something else."""
    return value if isinstance(value, str) and ID.fullmatch(value) else ""
