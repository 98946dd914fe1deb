"""Record batches of typed columns, as Parquet and Arrow have them, to chunks."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from onnxserve.batch.chunk import Chunk, whole
from onnxserve.batch.part import Part, Wanted


def names(schema: pa.Schema) -> dict[str, str]:
    """Column: type; `number`, `text`, `bytes`, or Arrow's own word."""
    return {field.name: kind(field.type) for field in schema}


def kind(given: pa.DataType) -> str:
    """What a handler could make of it."""
    if pa.types.is_dictionary(given):
        return kind(given.value_type)
    if pa.types.is_integer(given) or pa.types.is_floating(given) or pa.types.is_decimal(given):
        return "number"
    if pa.types.is_string(given) or pa.types.is_large_string(given):
        return "text"
    return "bytes" if pa.types.is_binary(given) or pa.types.is_large_binary(given) else str(given)


def wanted_columns(wanted: Wanted) -> list[str]:
    """Each column once."""
    return list(dict.fromkeys([*wanted.columns.values(), *wanted.keep, *wanted.keys.values()]))


def chunk(batch: pa.RecordBatch | pa.Table, first: int, part: Part, wanted: Wanted) -> Chunk:
    """One batch; nothing in it is unreadable, since its types are right."""
    columns = values = None
    if wanted.numbers:
        columns = {mine: numbers(batch.column(theirs)) for mine, theirs in wanted.columns.items()}
    else:
        [theirs] = wanted.columns.values()
        values = batch.column(theirs).to_pylist()
    table = pa.table(batch) if isinstance(batch, pa.RecordBatch) else batch
    return Chunk(
        first=first,
        size=batch.num_rows,
        places=whole(batch.num_rows),
        columns=columns,
        values=values,
        kept=table.select(list(wanted.keep)) if wanted.keep else None,
        faults={},
        position=lambda place: f"{part.source} row {first + place}",
        keys=table.select(list(wanted.keys.values())).rename_columns(list(wanted.keys)) if wanted.keys else None,
        raw=lambda place: msgspec.json.encode(batch.slice(place, 1).to_pylist()[0], enc_hook=str).decode(),
    )


def numbers(column: pa.Array | pa.ChunkedArray) -> npt.NDArray[Any]:
    """Numbers, nulls as NaN."""
    if pa.types.is_decimal(column.type) or pa.types.is_dictionary(column.type):
        column = pc.cast(column, pa.float64())
    found: npt.NDArray[Any] = column.to_numpy(zero_copy_only=False)
    return found if found.dtype.kind in "fiu" else found.astype(np.float64)
