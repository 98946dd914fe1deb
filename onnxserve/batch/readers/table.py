"""CSV with a header (RFC 4180), cut between records. Numbers are parsed here, so that a bad number is a bad row.

The separator is the one that the user names; else a tab in `.tsv`, and otherwise what the header's names have between
them: spreadsheets write semicolons where numbers have a decimal comma.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from onnxserve.batch.chunk import Chunk
from onnxserve.batch.part import Cut, Part, Selection, Source
from onnxserve.batch.text_stream import TextStream
from onnxserve.errors import BatchError

from .cells import row_of
from .lines import blocks, lines, skip_empty, text_of
from .runs import Group, cuts, groups
from .table_fields import fields_of, kept_columns, picker, with_nulls
from .table_numbers import number_rows
from .table_records import records, runs

COMMA = ","
TAB = ".tsv"
OTHER_SEPARATORS = (";", "\t")  # of a header without commas
BOM = "\ufeff"


class Header(NamedTuple):
    """The columns' names and what separates them; offset and line of the first row."""

    names: list[str]
    delimiter: str
    start: int
    line: int


def columns(source: Source, delimiter: str) -> dict[str, str]:
    """Return the header's names; their types are unknown."""
    return dict.fromkeys(_header(source.url, delimiter).names, "any")


def cut(source: Source, selection: Selection, rows: int) -> Iterator[Cut]:
    """Cut between records, which quotes may spread over lines."""
    header = _header(source.url, selection.delimiter)
    with TextStream(source.url) as stream:
        stream.advance(header.start)
        yield from cuts(runs(blocks(stream, header.start, header.line)), rows)


def read(part: Part, selection: Selection) -> Iterator[Chunk]:
    """Yield the part's records in chunks."""
    header = _header(part.source, selection.delimiter)
    rows_read = 0
    with TextStream(part.source) as stream:
        stream.advance(part.start)
        complete = runs(blocks(stream, part.start, part.line, part.stop - part.start))
        for some in groups(complete, selection.chunk, part.rows):
            yield _chunk(some, part.first + rows_read, part, selection, header)
            rows_read += len(some)


def empty(part: Part, selection: Selection) -> Chunk:
    """Return a chunk without rows."""
    return _chunk(Group([]), 0, part, selection, _header(part.source, selection.delimiter))


def _header(url: str, delimiter: str) -> Header:
    """Return the header of a file; BatchError for a bad one."""
    with TextStream(url) as stream:
        head = next(iter(records(skip_empty(lines(stream, 0, 1)))), None)
    try:
        text = (head.text or b"").decode().removeprefix(BOM) if head else ""
        separator = _separator(text, url, delimiter)
        names = _names(text, separator)
    except (UnicodeDecodeError, csv.Error) as error:
        fix = "write the file in UTF-8, with lines that end in LF or CR LF"
        raise BatchError(f"the header can't be read: {error}", where=url, fix=fix) from error
    if not head or not names:
        raise BatchError("the file has no header", where=url, fix="the first line names the columns")
    if len(set(names)) != len(names):
        raise BatchError("two columns have the same name", where=url, fix="rename one in the header")
    return Header(names, separator, head.stop, head.line + 1 + (head.text or b"").count(b"\n"))


def _names(text: str, separator: str) -> list[str]:
    return next(csv.reader(io.StringIO(text), delimiter=separator, strict=True), [])


def _separator(text: str, url: str, delimiter: str) -> str:
    """Return what separates the names of a header."""
    if delimiter != COMMA:
        return delimiter
    if TAB in url.lower():
        return "\t"
    return next((mark for mark in (COMMA, *OTHER_SEPARATORS) if _separates(mark, text)), COMMA)


def _separates(mark: str, text: str) -> bool:
    """Return whether a header has several names with this mark between them."""
    try:
        return len(_names(text, mark)) > 1
    except csv.Error:  # another mark stands behind the quotes of a name
        return False


def _chunk(some: Group, first: int, part: Part, selection: Selection, header: Header) -> Chunk:
    names, delimiter, values = header.names, header.delimiter, None
    if selection.numbers:
        places, columns, kept, faults = number_rows(some, selection, names, delimiter)
    else:
        fields, faults = fields_of(some, range(len(some)), len(names), delimiter)
        places, columns = np.array(list(fields), np.intp), None
        values = _values(list(fields.values()), selection, names)
        kept = kept_columns(fields, len(some), selection, names) if selection.keep else None
    return Chunk(
        first=first,
        size=len(some),
        places=places,
        columns=columns,
        values=values,
        kept=kept,
        faults=faults,
        position=lambda place: f"{part.source} line {some[place].line}",
        raw=lambda place: text_of(some[place]),
    )


def _values(rows: Sequence[list[str]], selection: Selection, names: Sequence[str]) -> list[Any]:
    """Return one value for each row: an object if there are several columns."""
    pick = picker(selection, names)
    picked = [with_nulls(pick(row), selection, None) for row in rows]
    if selection.types:
        return [row_of(selection.types, row) for row in picked]
    if len(selection.columns) == 1:
        return [row[0] for row in picked]
    return [dict(zip(selection.columns, row, strict=True)) for row in picked]
