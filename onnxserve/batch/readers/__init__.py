"""One module a kind of source: `columns` it has, `cut` it into parts, `read` a part in chunks, or an `empty` one."""

from __future__ import annotations

from collections.abc import Iterator
from types import ModuleType

from onnxserve.batch.chunk import Chunk
from onnxserve.batch.part import Cut, Kind, Part, Selection, Source

from . import arrow, images, jsonl, parquet, table

READERS: dict[Kind, ModuleType] = {
    "parquet": parquet,
    "arrow": arrow,
    "csv": table,
    "jsonl": jsonl,
    "images": images,
}


def columns(source: Source, delimiter: str) -> dict[str, str] | None:
    """Names and types of the columns, None where every row may have its own."""
    names: dict[str, str] | None = READERS[source.kind].columns(source, delimiter)
    return names


def cut(source: Source, wanted: Selection, rows: int) -> Iterator[Cut]:
    """Places to cut at, after about so many rows."""
    yield from READERS[source.kind].cut(source, wanted, rows)


def read(part: Part, wanted: Selection) -> Iterator[Chunk]:
    """The part's rows, all of them, in order; of a part without rows one chunk, which has the columns."""
    reader = READERS[part.kind]
    if part.rows:
        yield from reader.read(part, wanted)
    else:
        yield reader.empty(part, wanted)
