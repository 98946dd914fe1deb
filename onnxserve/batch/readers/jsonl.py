"""JSONL: each line is an object whose columns are taken, or a row as a request has it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa

from onnxserve.batch.chunk import Chunk, Fault
from onnxserve.batch.part import Cut, Part, Selection, Source
from onnxserve.batch.text_stream import TextStream

from .lines import TOO_LONG, Block, Record, blocks, skip_empty, text_of
from .runs import Group, Run, Singles, cuts, groups, lines_of

BOM = b"\xef\xbb\xbf"
BLANK = b" \t\n\r\x0b\x0c"  # a line of these alone is no row
_decode = msgspec.json.Decoder().decode


def columns(_source: Source, _delimiter: str) -> None:
    """Return None: every line may have its own columns."""


def cut(source: Source, _selection: Selection, rows: int) -> Iterator[Cut]:
    """Cut between lines."""
    with TextStream(source.url) as stream:
        yield from cuts(_runs(blocks(stream, 0, 1)), rows)


def _runs(some: Iterable[Block]) -> Iterator[Run]:
    for block in some:
        if lines := lines_of(block, BLANK):
            yield lines
        elif records := list(skip_empty(block.lines())):
            yield Singles(records)


def read(part: Part, selection: Selection) -> Iterator[Chunk]:
    """Yield the part's lines in chunks."""
    rows_read = 0
    with TextStream(part.source) as stream:
        stream.advance(part.start)
        complete = _runs(blocks(stream, part.start, part.line, part.stop - part.start))
        for some in groups(complete, selection.chunk, part.rows):
            yield _chunk(some, part.first + rows_read, part, selection)
            rows_read += len(some)


def empty(part: Part, selection: Selection) -> Chunk:
    """Return a chunk without rows."""
    return _chunk(Group([]), 0, part, selection)


def _chunk(some: Group, first: int, part: Part, selection: Selection) -> Chunk:
    documents: list[Any] = [None] * len(some)
    good, values, faults = [], [], dict[int, Fault]()
    for place, record in enumerate(some):
        try:
            documents[place] = document = _document(record)
            values.append(_instance(document, selection))
            good.append(place)
        except Unreadable as error:
            faults[place] = error.fault
    return Chunk(
        first=first,
        size=len(some),
        places=np.array(good, np.intp),
        columns=None,
        values=values,
        kept=_kept_columns(documents, selection) if selection.keep else None,
        faults=faults,
        position=lambda place: f"{part.source} line {some[place].line}",
        raw=lambda place: text_of(some[place]),
    )


class Unreadable(Exception):
    """A line that is no row."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.reason)
        self.fault = fault


def _document(record: Record) -> Any:
    if record.text is None:
        raise Unreadable(TOO_LONG)
    try:
        return _decode(record.text.removeprefix(BOM) if record.start == 0 else record.text)
    except (msgspec.DecodeError, RecursionError) as error:
        raise Unreadable(Fault("undecodable_body", f"not JSON: {error}")) from error


def _instance(document: Any, selection: Selection) -> Any:
    """Return the selected columns of an object, one by itself; any other value is the row itself."""
    if not isinstance(document, dict):
        return document
    missing = [name for name in selection.columns.values() if name not in document and name not in selection.optional]
    is_table = selection.numbers or bool(selection.types)
    if is_table and document and len(missing) == len(selection.columns):
        return document  # a row as a request has it, say {"row": [1, 2]}; the handler says what is wrong with others
    if missing:
        raise Unreadable(Fault("invalid_row", f"missing columns {missing[:5]}"))
    if selection.numbers:
        return [document[column] for column in selection.columns.values()]
    if selection.types or len(selection.columns) > 1:
        return {name: document.get(column) for name, column in selection.columns.items()}
    [column] = selection.columns.values()
    return document[column]


def _kept_columns(documents: list[Any], selection: Selection) -> pa.Table:
    """Return the kept columns: text as it is, other values as JSON, since types may differ between lines."""
    return pa.table(
        {
            name: pa.array(
                [_text(document.get(name)) if isinstance(document, dict) else None for document in documents],
                pa.string(),
            )
            for name in selection.keep
        }
    )


def _text(value: Any) -> str | None:
    return value if value is None or isinstance(value, str) else msgspec.json.encode(value).decode()
