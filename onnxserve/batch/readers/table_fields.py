"""The fields of records of CSV, one record at a time: a bad one is a fault of its own."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Mapping, Sequence
from operator import itemgetter
from typing import Any

import pyarrow as pa

from onnxserve.batch.chunk import Fault
from onnxserve.batch.part import Selection

from .lines import MOST, decode_record
from .runs import Group

NARROW = 2  # itemgetter returns a tuple for at least this many columns
csv.field_size_limit(MOST)  # its default refuses texts of 128 KiB, which pyarrow and Parquet take


def fields_of(
    some: Group, places: Iterable[int], width: int, delimiter: str
) -> tuple[dict[int, list[str]], dict[int, Fault]]:
    """Return the `width` fields of the records at these places, by place, and why others have none."""
    fields, faults = dict[int, list[str]](), dict[int, Fault]()
    for place in places:
        text = decode_record(some[place])
        if isinstance(text, Fault):
            faults[place] = text
            continue
        try:
            # A reader a record: one that an open quote confuses would take the next record for its end.
            row = next(csv.reader((text,), delimiter=delimiter, strict=True))
        except csv.Error as error:
            faults[place] = Fault("undecodable_body", f"not a record of CSV: {error}")
            continue
        if len(row) == width:
            fields[place] = row
        else:
            faults[place] = Fault("invalid_row", f"{len(row)} fields, the header has {width}")
    return fields, faults


def picker(selection: Selection, names: Sequence[str]) -> Callable[[Sequence[str]], tuple[str, ...]]:
    """Return a function that picks the model's columns of a row, always as a tuple."""
    places = [names.index(name) for name in selection.columns.values()]
    get = itemgetter(*places)
    if len(places) >= NARROW:
        return get
    return lambda row: (get(row),)


def with_nulls(picked: tuple[str, ...], selection: Selection, null: str | None) -> tuple[Any, ...]:
    """Return the fields with `null` for empty ones of columns that take null."""
    if not selection.nullable:
        return picked
    return tuple(
        text if text.strip() or name not in selection.nullable else null
        for name, text in zip(selection.columns, picked, strict=True)
    )


def kept_columns(
    fields: Mapping[int, Sequence[str]], size: int, selection: Selection, names: Sequence[str]
) -> pa.Table:
    """Return the kept columns of `size` rows as text, null for records that could not be read."""
    rows = [fields.get(place) for place in range(size)]
    at = {name: names.index(name) for name in selection.keep}
    return pa.table({name: pa.array([row and row[place] for row in rows], pa.string()) for name, place in at.items()})
