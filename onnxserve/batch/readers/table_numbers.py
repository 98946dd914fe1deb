"""Rows of numbers in CSV: plain records a column at a time, others and doubtful numbers one at a time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from onnxserve.batch.chunk import Fault
from onnxserve.batch.part import Selection

from .cells import parse_numbers
from .plain_records import PlainRecords, numbers, split
from .runs import Group
from .table_fields import fields_of, kept_columns, picker, with_nulls

Array = npt.NDArray[Any]
Fields = Mapping[int, Sequence[str]]


class NumberRows(NamedTuple):
    """Rows of numbers: their places, an array of shape (places,) a column, what is kept of all rows, and faults."""

    places: npt.NDArray[np.intp]
    columns: dict[str, Array]
    kept: pa.Table | None
    faults: dict[int, Fault]


def number_rows(some: Group, selection: Selection, names: Sequence[str], delimiter: str) -> NumberRows:
    """Return the records whose fields are numbers, as float64, and why others aren't."""
    wanted = list(dict.fromkeys([*selection.columns.values(), *selection.keep]))
    plain, places = split(some, names, wanted, delimiter), np.arange(len(some))
    others, faults = fields_of(some, np.setdiff1d(places, plain.places).tolist(), len(names), delimiter)
    table = np.full((len(some), len(selection.columns)), np.nan)
    table[plain.places], doubtful = _plain_numbers(plain, selection)
    pick = picker(selection, names)
    texts = {place: pick(row) for place, row in others.items()} | doubtful
    for place, picked in texts.items():
        row = with_nulls(picked, selection, "nan")
        try:
            table[place] = parse_numbers(row)
        except ValueError:
            faults[place] = not_a_number(row, selection)
    good = np.setdiff1d(places, list(faults)).astype(np.intp)
    columns = {name: table[good, at] for at, name in enumerate(selection.columns)}
    kept = _kept(plain, others, len(some), selection, names) if selection.keep else None
    return NumberRows(good, columns, kept, dict(sorted(faults.items())))


def _plain_numbers(plain: PlainRecords, selection: Selection) -> tuple[Array, dict[int, tuple[str, ...]]]:
    """Return the numbers of plain records, shape (records, columns), and the texts of doubtful rows by their places."""
    table = np.empty((len(plain.places), len(selection.columns)))
    doubtful = np.zeros(len(plain.places), bool)
    for at, (name, column) in enumerate(selection.columns.items()):
        table[:, at], unsure = numbers(plain.fields.column(column), nullable=name in selection.nullable)
        doubtful |= unsure
    rows = plain.fields.select(list(selection.columns.values())).filter(pa.array(doubtful))
    texts = zip(*(column.to_pylist() for column in rows.columns), strict=True)
    return table, dict(zip(plain.places[doubtful].tolist(), texts, strict=True))


def _kept(plain: PlainRecords, others: Fields, size: int, selection: Selection, names: Sequence[str]) -> pa.Table:
    """Return the kept columns of all rows."""
    fields = plain.fields.select(list(selection.keep))
    if len(plain.places) == size:
        return fields
    rest = kept_columns(others, size, selection, names)
    # Rows of both, in their order: a plain record's is behind those of `rest`.
    order = np.arange(size)
    order[plain.places] = size + np.arange(len(plain.places))
    return pa.concat_tables([rest, fields]).take(pa.array(order))


def not_a_number(picked: Sequence[str], selection: Selection) -> Fault:
    """Make the fault that names the field and its text."""
    for name, text in zip(selection.columns, picked, strict=True):
        try:
            parse_numbers((text,))
        except ValueError:
            reason = f"expected a number, got {text[:40]!r}" if text.strip() else "the number is missing"
            return Fault("invalid_row", reason, name)
    raise ValueError("every field is a number")
