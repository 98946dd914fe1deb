"""Parquet: cut at row groups."""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa
import pyarrow.parquet as pq

from onnxserve.batch.chunk import Chunk
from onnxserve.batch.part import Cut, Part, Source, Wanted
from onnxserve.batch.sources import open_source
from onnxserve.errors import BatchError

from .typed import chunk, names, wanted_columns


def columns(source: Source, _delimiter: str) -> dict[str, str]:
    """From the footer."""
    with _opened(source.url) as file:
        return names(file.schema_arrow)


def cut(source: Source, _wanted: Wanted, rows: int) -> Iterator[Cut]:
    """A row group is the least that can be read alone."""
    with _opened(source.url) as file:
        first = start = count = 0
        for group in range(file.num_row_groups):
            count += file.metadata.row_group(group).num_rows
            if count >= rows or group == file.num_row_groups - 1:
                yield Cut(first, count, start, group + 1)
                first, start, count = first + count, group + 1, 0


def read(part: Part, wanted: Wanted) -> Iterator[Chunk]:
    """Batches of the part's row groups; the limit of a part may end before they do."""
    with _opened(part.source) as file:
        groups, done = list(range(part.start, part.stop)), 0
        batches = file.iter_batches(wanted.chunk, row_groups=groups, columns=wanted_columns(wanted), use_threads=False)
        for batch in batches:
            if done == part.rows:
                return
            some = batch.slice(0, part.rows - done)
            if some.num_rows:
                yield chunk(some, part.first + done, part, wanted)
            done += some.num_rows


def _opened(url: str) -> pq.ParquetFile:
    try:
        if url.startswith("file://"):
            return pq.ParquetFile(url.removeprefix("file://"))
        return pq.ParquetFile(open_source(url))
    except (pa.ArrowInvalid, OSError) as error:
        raise BatchError(f"not a readable Parquet file: {error}", where=url) from error
