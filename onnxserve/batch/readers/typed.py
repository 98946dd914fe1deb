"""Chunks from the record batches of Parquet and Arrow."""

from __future__ import annotations

from collections import Counter
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from onnxserve.batch.chunk import Chunk, all_places
from onnxserve.batch.part import Part, Selection
from onnxserve.errors import BatchError

from .cells import row_of

NO_TIMES = (OverflowError, KeyError)  # of Arrow's times beyond the year 9999, and in a time zone that isn't known


def names(schema: pa.Schema, url: str) -> dict[str, str]:
    """Return the type of each column: `number`, `text`, `bytes`, or Arrow's own name; BatchError for a name twice."""
    if len(set(schema.names)) != len(schema.names):
        twice = next(name for name, count in Counter(schema.names).items() if count > 1)
        raise BatchError(f"two columns have the same name, {twice!r}", where=url, fix="rename one in the source")
    return {field.name: kind(field.type) for field in schema}


def kind(data_type: pa.DataType) -> str:
    """Return the kind of a type that a handler can use, else Arrow's own name."""
    if pa.types.is_dictionary(data_type) or pa.types.is_run_end_encoded(data_type):
        return kind(data_type.value_type)
    if pa.types.is_integer(data_type) or pa.types.is_floating(data_type) or pa.types.is_decimal(data_type):
        return "number"
    if pa.types.is_boolean(data_type):
        return "number"
    if pa.types.is_string(data_type) or pa.types.is_large_string(data_type) or pa.types.is_string_view(data_type):
        return "text"
    if pa.types.is_binary(data_type) or pa.types.is_large_binary(data_type) or pa.types.is_binary_view(data_type):
        return "bytes"
    return "bytes" if pa.types.is_fixed_size_binary(data_type) or is_image(data_type) else str(data_type)


def is_image(data_type: pa.DataType) -> bool:
    """Return whether a type is `struct<bytes, path>`, in which Hugging Face's datasets keep images and sounds."""
    return pa.types.is_struct(data_type) and {"bytes", "path"} == {field.name for field in data_type}


def selected_columns(selection: Selection) -> list[str]:
    """Return the columns to read, each once."""
    return list(dict.fromkeys([*selection.columns.values(), *selection.keep, *selection.keys.values()]))


def plain(column: pa.Array | pa.ChunkedArray) -> pa.Array | pa.ChunkedArray:
    """Convert to a layout that Parquet and Arrow's grouping support: no views, no runs."""
    if pa.types.is_run_end_encoded(column.type):
        return plain(pc.run_end_decode(column))
    if pa.types.is_string_view(column.type):
        return pc.cast(column, pa.large_string())
    return pc.cast(column, pa.large_binary()) if pa.types.is_binary_view(column.type) else column


def chunk(table: pa.RecordBatch | pa.Table, first: int, part: Part, selection: Selection) -> Chunk:
    """Make a chunk of a batch; every row is readable, since the types are checked."""
    batch = pa.table([plain(column) for column in table.columns], names=table.schema.names)
    columns = values = None
    if selection.numbers:
        columns = {name: numbers(batch.column(column)) for name, column in selection.columns.items()}
    else:
        lists = {name: column_values(batch.column(column)) for name, column in selection.columns.items()}
        values = (
            [row_of(selection.types, row) for row in zip(*lists.values(), strict=True)]
            if selection.types
            else row_objects(lists)
        )
    return Chunk(
        first=first,
        size=batch.num_rows,
        places=all_places(batch.num_rows),
        columns=columns,
        values=values,
        kept=batch.select(list(selection.keep)) if selection.keep else None,
        faults={},
        position=lambda place: f"{part.source} row {first + place}",
        keys=batch.select(list(selection.keys.values())).rename_columns(list(selection.keys))
        if selection.keys
        else None,
        raw=lambda place: _raw(batch.slice(place, 1)),
    )


def _raw(row: pa.Table) -> str:
    values = {name: column_values(column)[0] for name, column in zip(row.column_names, row.columns, strict=True)}
    return msgspec.json.encode(values, enc_hook=str).decode()


def row_objects(columns: dict[str, list[Any]]) -> list[Any]:
    """Return one object for each row, or the value itself where there is one column only."""
    if len(columns) == 1:
        [values] = columns.values()
        return values
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def column_values(column: pa.Array | pa.ChunkedArray) -> list[Any]:
    """Return one value for each row: of an image its bytes, of a time what it is without nanoseconds."""
    if pa.types.is_dictionary(column.type):
        column = pc.cast(column, column.type.value_type)
    if is_image(column.type):
        column = pc.struct_field(column, "bytes")
    if pa.types.is_timestamp(column.type) and column.type.unit == "ns":  # which Python's times don't have
        column = pc.cast(column, pa.timestamp("us", column.type.tz), safe=False)
    try:
        values: list[Any] = column.to_pylist()
    except NO_TIMES:
        return [_value_of(scalar) for scalar in column]
    return values


def _value_of(scalar: pa.Scalar) -> Any:
    """Return a value; a time that Python can't have is a text, which the handler refuses."""
    try:
        return scalar.as_py()
    except NO_TIMES:
        return f"{scalar.value} {scalar.type}"


def numbers(column: pa.Array | pa.ChunkedArray) -> npt.NDArray[Any]:
    """Return a column as numbers, with NaN for null."""
    if pa.types.is_dictionary(column.type):
        column = pc.cast(column, column.type.value_type)
    if pa.types.is_boolean(column.type):
        column = pc.cast(column, pa.uint8())
    if pa.types.is_decimal(column.type):
        column = pc.cast(column, pa.float64())
    values: npt.NDArray[Any] = column.to_numpy(zero_copy_only=False)
    return values if values.dtype.kind in "fiu" else values.astype(np.float64)
