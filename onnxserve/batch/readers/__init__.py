"""Readers, one module for each format: `columns`, `cut` into parts, `read` a part in chunks, or an `empty` chunk."""

from __future__ import annotations

from collections.abc import Iterator
from types import ModuleType

from onnxserve.batch.chunk import Chunk
from onnxserve.batch.part import Cut, Kind, Part, Selection, Source

from . import albums, arrow, jsonl, parquet, table

READERS: dict[Kind, ModuleType] = {
    "parquet": parquet,
    "arrow": arrow,
    "csv": table,
    "jsonl": jsonl,
    "images": albums,
    "sounds": albums,
}


def columns(source: Source, delimiter: str) -> dict[str, str] | None:
    """Return names and types of the columns; None if every row may have its own."""
    names: dict[str, str] | None = READERS[source.kind].columns(source, delimiter)
    return names


def cut(source: Source, selection: Selection, rows: int) -> Iterator[Cut]:
    """Yield pieces of about `rows` rows."""
    yield from READERS[source.kind].cut(source, selection, rows)


def read(part: Part, selection: Selection) -> Iterator[Chunk]:
    """Yield the part's rows in order; for a part without rows yield one empty chunk, which has the columns."""
    reader = READERS[part.kind]
    if part.rows:
        yield from reader.read(part, selection)
    else:
        yield reader.empty(part, selection)
