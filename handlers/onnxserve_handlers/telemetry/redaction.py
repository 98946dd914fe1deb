"""Which parts of a client's row may be kept: the fields of the archive's signature that nobody redacted, nothing else.

It is an allow-list, since clients decide what else there is: other names, nested values, lists of another length, rows
that were refused. A mark replaces each value that isn't kept, and the marks are counted.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from typing import Any, NamedTuple

import msgspec

from ..errors import RequestError
from ..request import Request
from ..response import Response
from ..signature import TEXT_PAIR, Signature

REDACTED = "redacted"
TEXT = "text"  # the field of a row that is a text
MOST_TEXT, MOST_ROWS = 2_000, 32  # characters of a text, rows of a request
TEXTS = (str, bytes, bytearray)
SERVER_ERROR = 500  # errors with a lower status are the client's
SINGLE = (bool, int, float, str, type(None))  # types of a field that is kept; any other could hold several values
REQUEST_ID = re.compile(r"[A-Za-z0-9_.:=+/@-]{1,128}")  # as the gateway accepts it


class RedactedRow(NamedTuple):
    """A row as JSON, None where its kind is never kept, and how many values were replaced by the mark."""

    row: str | None
    redacted: int = 0


class Redaction:
    """The rule for the rows of one archive; `hidden` are names of fields, in any case."""

    def __init__(self, signature: Signature, hidden: Iterable[str] = ()) -> None:
        folded = {fold_name(name) for name in hidden}
        folded |= {*TEXT_PAIR} if TEXT in folded else set()  # who hides a text hides the other one of a pair
        entities = signature.features.entities if signature.features else ()
        self._columns = signature.input.column_names
        self._fields = frozenset(name for name in (*self._columns, *entities) if fold_name(name) not in folded)
        self._known = frozenset((*self._columns, *entities))
        self._logged = signature.input.is_loggable
        self._keeps_text = TEXT not in folded
        self._labels: Collection[str] = frozenset(signature.labels)

    def row(self, value: Any) -> RedactedRow:
        """Redact a row that the handler accepted."""
        if value is None or not self._logged or hasattr(value, "dtype"):
            return RedactedRow(None)
        if self._columns:
            return self._table_row(value)
        text = decode_text(value)
        if text is None or not self._keeps_text:
            return redact_whole(value)
        return RedactedRow(encode_json(text[:MOST_TEXT]))

    def _table_row(self, value: Any) -> RedactedRow:
        if isinstance(value, list | tuple) and len(value) == len(self._columns):
            value = dict(zip(self._columns, value, strict=True))
        if not isinstance(value, dict):
            return redact_whole(value)
        fields, redacted = dict[str, Any](), 0
        for name, field in value.items():
            if name in self._fields and isinstance(field, SINGLE):
                fields[name] = field[:MOST_TEXT] if isinstance(field, str) else field
            else:
                redacted += 1
                if name in self._known:  # any other name is a client's own text
                    fields[name] = REDACTED
        return RedactedRow(encode_json(fields), redacted)

    def label(self, value: Any) -> str | None:
        """Return a label of the signature's, or the mark in place of any other value."""
        if value is None:
            return None
        return value if isinstance(value, str) and value in self._labels else REDACTED


def rows_of(request: Request, result: Response | RequestError | None) -> list[Any] | None:
    """Return the first rows of a request; a row that was refused is redacted already. None without rows."""
    rows = request.instances if request.instances is not None else request.rows
    if rows is None:
        return None
    all_refused = request.error is None and isinstance(result, RequestError) and result.status < SERVER_ERROR

    def is_refused(index: int) -> bool:
        return request.error is not None and (request.rows is None or isinstance(request.rows[index], RequestError))

    return [
        redact_whole(row) if all_refused or is_refused(index) else cut_text(row)
        for index, row in enumerate(rows[:MOST_ROWS])
    ]


def cut_text(row: Any) -> Any:
    """Return the beginning of a text or its bytes, with enough for `MOST_TEXT` characters; other rows stay whole."""
    return row[: 4 * MOST_TEXT] if isinstance(row, TEXTS) else row


def redact_whole(value: Any) -> RedactedRow:
    """Return the mark in place of a whole row, and how many values the row has, as far as they can be counted."""
    return RedactedRow(encode_json(REDACTED), max(1, len(value)) if isinstance(value, list | tuple | dict) else 1)


def decode_text(value: Any) -> str | None:
    """Return a text, or the text of its UTF-8 bytes; None for anything else."""
    if isinstance(value, bytes | bytearray):
        return bytes(value[: 4 * MOST_TEXT]).decode("utf-8-sig", "replace")
    return value if isinstance(value, str) else None


def encode_json(value: Any) -> str:
    """Encode a value as JSON."""
    return msgspec.json.encode(value).decode()


def fold_name(name: str) -> str:
    """Return a field's name for comparison with names that people write."""
    return name.strip().casefold()


def safe_request_id(value: Any) -> str:
    """Return a request's id; empty if a client that reached the worker without the gateway sent something else."""
    return value if isinstance(value, str) and REQUEST_ID.fullmatch(value) else ""
