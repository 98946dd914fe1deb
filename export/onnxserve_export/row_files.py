"""Rows of Parquet, Arrow, CSV and JSON-lines files, read in chunks by the readers of `onnxserve batch`."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from decimal import Decimal
from functools import partial
from typing import Any

import msgspec

from onnxserve.batch.chunk import Chunk
from onnxserve.batch.part import Part, Selection, Source
from onnxserve.batch.readers import columns as columns_of
from onnxserve.batch.readers import cut, read
from onnxserve.batch.readers.cells import cell, parse_numbers
from onnxserve.batch.readers.jsonl import BOM
from onnxserve.batch.readers.lines import lines, skip_empty
from onnxserve.batch.text_stream import TextStream
from onnxserve.definition import Definition
from onnxserve.errors import BatchError, DefinitionError

from .plain_values import plain_value
from .row_columns import Columns, Wanted, choose_columns
from .row_faults import RowFault, unreadable

_names_in = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
DECIMAL_COMMA = re.compile(r"\s*[-+]?\d+,\d+\s*")
CHUNK = 4096  # rows in memory at a time
ALL = 2**62
SHOWN = 5
COLUMN_TYPES = (
    "[input] columns says what columns are that aren't plain numbers, as "
    '{name = "plan", type = "category", categories = ["basic", "pro"]}, {name = "member", type = "boolean"}, '
    '{name = "joined", type = "date", since = "2020-01-01"}, {name = "note", type = "text"}, and which may be empty, '
    'as {name = "age", nullable = true}'
)


def read_files(files: Sequence[Source], definition: Definition) -> Iterator[tuple[Any, Any]]:
    """Yield input and label of every row; DefinitionError with file, line and column for rows that can't be read."""
    for file in files:
        try:
            columns = choose_columns(available_columns(file), Wanted.of(definition), file.url)
            if definition.features and file.kind in ("csv", "jsonl"):
                fix = "convert the rows to Parquet"
                raise DefinitionError("the keys and times of a feature store need types", where=file.url, fix=fix)
            yield from _read(file, columns, definition)
        except BatchError as error:
            raise DefinitionError(error.what, where=error.where or file.url, fix=error.fix) from error


def available_columns(file: Source) -> list[str]:
    """Return the names of a file's columns, of JSON lines those of all objects."""
    available = columns_of(file, ",")
    return object_names(file) if available is None else list(available)


def object_names(file: Source) -> list[str]:
    """Return the names in the objects of a JSON-lines file; DefinitionError if it has none.

    A label may stand in some rows only. What else is wrong with a row is said where it is read.
    """
    names = dict[str, None]()
    with TextStream(file.url) as stream:
        texts = (record.text for record in skip_empty(lines(stream, 0, 1)))
        rows = (text.removeprefix(BOM) for text in texts if text is not None)
        if (first := next(rows, None)) is None:
            raise DefinitionError("there is no row", where=file.url, fix="write rows to the file, or leave it out")
        try:
            names |= dict.fromkeys(_names_in(first))
        except msgspec.ValidationError as error:
            fix = 'write objects such as {"input": ..., "label": ...}, as golden.jsonl has them'
            raise DefinitionError("the first row isn't an object", where=file.url, fix=fix) from error
        except msgspec.DecodeError as error:
            fix = "write one JSON object on each line"
            raise DefinitionError(f"the first row isn't JSON: {error}", where=file.url, fix=fix) from error
        for row in rows:
            with suppress(msgspec.DecodeError):
                names |= dict.fromkeys(_names_in(row))
    return list(names)


def _read(file: Source, columns: Columns, definition: Definition) -> Iterator[tuple[Any, Any]]:
    takes_null = definition.input.nullable_columns
    nullable = [name for name, own in zip(columns.inputs, columns.names, strict=True) if own in takes_null]
    for chunk in chunks_of(file, (*columns.inputs, *columns.labels), nullable, optional=columns.labels):
        yield from _rows(chunk, columns, definition)


def chunks_of(
    file: Source, columns: Sequence[str], nullable: Sequence[str], optional: Sequence[str] = ()
) -> Iterator[Chunk]:
    """Yield the rows of a file in chunks: a value each, or an object if there are several columns."""
    names = {name: name for name in columns}
    selection = Selection(names, numbers=False, chunk=CHUNK, nullable=tuple(nullable), optional=tuple(optional))
    for piece in cut(file, selection, ALL):
        part = Part(0, file.url, file.kind, piece.first, piece.rows, piece.start, piece.stop, piece.line, piece.skip)
        yield from read(part, selection)


def records(file: Source, columns: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Yield the rows of a file by column, empty cells among them; rows that can't be read are left out."""
    for chunk in chunks_of(file, columns, columns):
        for value in chunk.values or ():
            if len(columns) == 1:
                yield {columns[0]: value}
            elif isinstance(value, dict):
                yield value


def _rows(chunk: Chunk, columns: Columns, definition: Definition) -> Iterator[tuple[Any, Any]]:
    faults = [(place, RowFault(fault.reason, "")) for place, fault in chunk.faults.items()]
    rows = []
    for place, value in zip(chunk.places.tolist(), chunk.values or (), strict=True):
        is_object = len({*columns.inputs, *columns.labels}) > 1
        fields = value if is_object else {columns.inputs[0]: value}
        if not isinstance(fields, dict):
            faults.append((place, RowFault("not an object, as the first row is", columns.inputs[0])))
            continue
        try:
            rows.append((_input(fields, columns, definition), _label(fields, columns, definition)))
        except RowFault:
            faults += [(place, fault) for fault in _faults_of(fields, columns, definition)]
    if faults:
        raise unreadable(faults, chunk, lambda column: _fix(column, columns, definition))
    yield from rows


def _faults_of(fields: dict[str, Any], columns: Columns, definition: Definition) -> list[RowFault]:
    """Return everything that is wrong with a row: each column of a table has a fault of its own."""
    alone = [Columns((name,), (own,), (), columns.is_table) for name, own in zip(*columns[:2], strict=True)]
    parts = [partial(_input, fields, part, definition) for part in (alone if columns.is_table else [columns])]
    faults = []
    for part in (*parts, partial(_label, fields, columns, definition)):
        try:
            part()
        except RowFault as fault:
            faults.append(fault)
    return faults


def _fix(column: str, columns: Columns, definition: Definition) -> str:
    if column in columns.labels and definition.labels:
        names, more = ", ".join(map(repr, definition.labels[:SHOWN])), ", …" * (len(definition.labels) > SHOWN)
        return f"`labels` has {names}{more}; write labels by these names, not by their places"
    return COLUMN_TYPES if columns.is_table and column in columns.inputs else ""


def _input(fields: dict[str, Any], columns: Columns, definition: Definition) -> Any:
    if definition.features:  # the store's join takes times as they are
        return {name: fields[column] for name, column in zip(columns.names, columns.inputs, strict=True)}
    if columns.is_table:
        types = definition.input.column_types
        return [
            cell(types[own], fields[name]) if own in types else number(fields[name], name)
            for name, own in zip(columns.inputs, columns.names, strict=True)
        ]
    values = [plain_value(fields[name], name) for name in columns.inputs]
    return values[0] if len(values) == 1 else dict(zip(columns.names, values, strict=True))


def _label(fields: dict[str, Any], columns: Columns, definition: Definition) -> Any:
    """Return a row's label, None for a row without one."""
    labels = [plain_value(fields[name], name) for name in columns.labels]
    if not labels or None in labels or "" in labels:
        return None
    if not definition.labels and definition.output.numeric_labels:
        labels = [number(label, name) for label, name in zip(labels, columns.labels, strict=True)]
    [label] = labels if len(labels) == 1 else [labels]
    if definition.labels and not isinstance(label, list | dict) and str(label) not in definition.labels:
        raise RowFault(f"label {str(label)!r} is not among `labels`", columns.labels[0])
    return label


def number(value: Any, column: str) -> float | int:
    """Return a finite number; RowFault for a missing one and for anything else."""
    if isinstance(value, str):
        try:
            [value] = parse_numbers((value,)) if value.strip() else [None]
        except ValueError as error:
            comma = "; write a point, not a comma" if DECIMAL_COMMA.fullmatch(value) else ""
            raise RowFault(f"expected a number, got {value[:40]!r}{comma}", column) from error
    if isinstance(value, bool | Decimal):
        value = int(value) if isinstance(value, bool) else float(value)
    if value is None or (isinstance(value, float) and math.isnan(value)):
        raise RowFault("the number is missing", column)
    if not isinstance(value, int | float):
        raise RowFault(f"expected a number, got {type(value).__name__}", column)
    if math.isinf(value):
        raise RowFault("the number is not finite", column)
    return value
