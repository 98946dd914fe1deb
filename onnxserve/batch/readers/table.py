"""CSV with a header (RFC 4180), cut between records. Numbers are parsed here, so that a bad number is a bad row."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Iterator, Sequence
from operator import itemgetter
from typing import Any

import numpy as np
import pyarrow as pa

from onnxserve.batch.chunk import Chunk, Fault
from onnxserve.batch.part import Cut, Part, Selection, Source
from onnxserve.batch.sources import open_source
from onnxserve.errors import BatchError

from .cells import parse_numbers, row_of
from .lines import Record, cuts, decode_records, groups, lines, skip_empty, text_of

TAB = ".tsv"
BOM = "\ufeff"
MOST_LINES = 200  # of one record; a quote that is never closed must not swallow the rest
NARROW = 2  # itemgetter returns a tuple for at least this many columns


def columns(source: Source, delimiter: str) -> dict[str, str]:
    """Return the header's names; their types are unknown."""
    return dict.fromkeys(_header(source.url, delimiter)[0], "any")


def cut(source: Source, selection: Selection, rows: int) -> Iterator[Cut]:
    """Cut between records, which quotes may spread over lines."""
    _, start, line = _header(source.url, selection.delimiter)
    with open_source(source.url) as stream:
        stream.seek(start)
        yield from cuts(records(lines(stream, start, line)), rows)


def read(part: Part, selection: Selection) -> Iterator[Chunk]:
    """Yield the part's records in chunks."""
    names, _, _ = _header(part.source, selection.delimiter)
    rows_read = 0
    with open_source(part.source) as stream:
        stream.seek(part.start)
        complete = records(lines(stream, part.start, part.line, part.stop - part.start))
        for some in groups(complete, selection.chunk, part.rows):
            yield _chunk(some, part.first + rows_read, part, selection, names)
            rows_read += len(some)


def empty(part: Part, selection: Selection) -> Chunk:
    """Return a chunk without rows."""
    return _chunk([], 0, part, selection, _header(part.source, selection.delimiter)[0])


def records(source_lines: Iterable[Record]) -> Iterator[Record]:
    """Join lines while a quote is open; a quote that is never closed spoils its own line only."""
    source, waiting, again = iter(source_lines), list[Record](), list[Record]()
    while line := again.pop(0) if again else next(source, None):
        if not waiting and line.text is not None and not line.text.strip():
            continue  # empty lines are rows inside quotes only
        waiting.append(line)
        if line.text is None or len(waiting) > MOST_LINES:
            yield waiting[0]
            again, waiting = waiting[1:] + again, []
        elif not _open(waiting):
            text = line.text if len(waiting) == 1 else b"\n".join(part.text or b"" for part in waiting)
            yield Record(waiting[0].line, waiting[0].start, line.stop, text)
            waiting = []
    if waiting:  # the end came before the quote
        yield waiting[0]
        yield from records(waiting[1:])


def _open(waiting: Sequence[Record]) -> bool:
    return sum((part.text or b"").count(b'"') for part in waiting) % 2 == 1


def _header(url: str, delimiter: str) -> tuple[list[str], int, int]:
    """Return the names, and offset and line of the first row; BatchError for a bad header."""
    with open_source(url) as stream:
        head = next(iter(records(skip_empty(lines(stream, 0, 1)))), None)
    try:
        text = (head.text or b"").decode().removeprefix(BOM) if head else ""
        names = next(csv.reader(io.StringIO(text), delimiter=separator(url, delimiter), strict=True), [])
    except (UnicodeDecodeError, csv.Error) as error:
        fix = "write the file in UTF-8, with lines that end in LF or CR LF"
        raise BatchError(f"the header can't be read: {error}", where=url, fix=fix) from error
    if not head or not names:
        raise BatchError("the file has no header", where=url, fix="the first line names the columns")
    if len(set(names)) != len(names):
        raise BatchError("two columns have the same name", where=url, fix="rename one in the header")
    return names, head.stop, head.line + 1 + (head.text or b"").count(b"\n")


def separator(url: str, delimiter: str) -> str:
    """Return the separator: a tab for `.tsv` unless another one is given."""
    return "\t" if TAB in url.lower() and delimiter == "," else delimiter


def _chunk(some: list[Record], first: int, part: Part, selection: Selection, names: list[str]) -> Chunk:
    texts, places, faults = decode_records(some)
    fields: list[list[str] | None] = [None] * len(some)
    delimiter = separator(part.source, selection.delimiter)
    for place, text in zip(places, texts, strict=True):
        try:
            # A reader a record: one that an open quote confuses would take the next record for its end.
            row = next(csv.reader((text,), delimiter=delimiter, strict=True))
        except csv.Error as error:
            faults[place] = Fault("undecodable_body", f"not a record of CSV: {error}")
            continue
        if len(row) == len(names):
            fields[place] = row
        else:
            faults[place] = Fault("invalid_row", f"{len(row)} fields, the header has {len(names)}")
    good, values = _values(fields, faults, selection, names)
    return Chunk(
        first=first,
        size=len(some),
        places=np.array(good, np.intp),
        columns=values if isinstance(values, dict) else None,
        values=None if isinstance(values, dict) else values,
        kept=_kept_columns(fields, selection, names) if selection.keep else None,
        faults=faults,
        position=lambda place: f"{part.source} line {some[place].line}",
        raw=lambda place: text_of(some[place]),
    )


def _values(fields: list[list[str] | None], faults: dict[int, Fault], selection: Selection, names: list[str]) -> Any:
    """Return the places of rows whose fields fit the model, and their arrays or values."""
    pick = picker([names.index(name) for name in selection.columns.values()])
    if not selection.numbers:
        rows = [(place, with_nulls(pick(row), selection, None)) for place, row in enumerate(fields) if row is not None]
        if selection.types:
            return [place for place, _ in rows], [row_of(selection.types, row) for _, row in rows]
        is_single = len(selection.columns) == 1
        texts = [row[0] if is_single else dict(zip(selection.columns, row, strict=True)) for _, row in rows]
        return [place for place, _ in rows], texts
    good, numbers = [], []
    for place, row in enumerate(fields):
        if row is None:
            continue
        picked = with_nulls(pick(row), selection, "nan")
        try:
            numbers.append(parse_numbers(picked))
            good.append(place)
        except ValueError:
            faults[place] = not_a_number(picked, selection)
    table = np.array(numbers, np.float64).reshape(len(good), len(selection.columns))
    return good, {name: table[:, at] for at, name in enumerate(selection.columns)}


def picker(places: list[int]) -> Callable[[list[str]], tuple[str, ...]]:
    """Return a function that picks fields at some places, always as a tuple."""
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


def not_a_number(picked: Sequence[str], selection: Selection) -> Fault:
    """Make the fault that names the field and its text."""
    for name, text in zip(selection.columns, picked, strict=True):
        try:
            parse_numbers((text,))
        except ValueError:
            reason = f"expected a number, got {text[:40]!r}" if text.strip() else "the number is missing"
            return Fault("invalid_row", reason, name)
    raise ValueError("every field is a number")


def _kept_columns(fields: list[list[str] | None], selection: Selection, names: list[str]) -> pa.Table:
    """Return the kept columns as text, null for records that could not be read."""
    at = {name: names.index(name) for name in selection.keep}
    return pa.table(
        {name: pa.array([row[place] if row else None for row in fields], pa.string()) for name, place in at.items()}
    )
