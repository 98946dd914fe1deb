"""Entries of what a program gives to `onnxserve.Client` and `onnxserve.AsyncClient`, and to their `Retry`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import MISSING, fields

from onnxserve.client.retry import Retry
from onnxserve.client.settings import Settings

from .entry import Entry, split_unit
from .fields import in_code, meanings

RECORDS = {"Client": Settings, "Retry": Retry}
TYPES = {
    "bool": "boolean",
    "float": "number",
    "int": "integer",
    "str": "text",
    "str | Callable[[], str]": "text or function",
    "Callable[[], str]": "function",
    "Mapping[str, str]": "mapping of text",
    "Retry": "`Retry`",
}


def client_entries() -> Iterator[Entry]:
    """Yield an entry for each field of both records; KeyError for a type that has no words yet."""
    for where, record in RECORDS.items():
        texts = meanings(record)
        for field in fields(record):
            meaning, unit = split_unit(texts.get(field.name, ""))
            simple = field.default is not MISSING and not callable(field.default)
            default = in_code(field.default) if simple else "see meaning"
            yield Entry(where, field.name, TYPES[str(field.type)], unit, default, meaning)
