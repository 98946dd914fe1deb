"""Parquet: cut at row groups."""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa
import pyarrow.parquet as pq

from onnxserve.batch.chunk import Chunk
from onnxserve.batch.part import Cut, Part, Selection, Source
from onnxserve.batch.sources import open_source
from onnxserve.errors import BatchError

from .typed import chunk, names, selected_columns

MOST_SHARES = 16  # of a row group: each share decodes what stands before it


def columns(source: Source, _delimiter: str) -> dict[str, str]:
    """Return the columns of the footer."""
    with _open(source.url) as file:
        return names(file.schema_arrow, source.url)


def cut(source: Source, _selection: Selection, rows: int) -> Iterator[Cut]:
    """Cut between row groups; a row group much larger than a part is shared by several, which skip the others' rows."""
    with _open(source.url) as file:
        sizes = [file.metadata.row_group(group).num_rows for group in range(file.num_row_groups)]
    first = start = count = 0
    for group, size in enumerate(sizes):
        if size >= 2 * rows:
            if count:
                yield Cut(first, count, start, group)
            yield from _split_group(first + count, group, size, max(rows, -(-size // MOST_SHARES)))
            first, start, count = first + count + size, group + 1, 0
            continue
        count += size
        if count >= rows:
            yield Cut(first, count, start, group + 1)
            first, start, count = first + count, group + 1, 0
    if count:
        yield Cut(first, count, start, len(sizes))


def _split_group(first: int, group: int, size: int, rows: int) -> Iterator[Cut]:
    for skip in range(0, size, rows):
        yield Cut(first + skip, min(rows, size - skip), group, group + 1, skip=skip)


def read(part: Part, selection: Selection) -> Iterator[Chunk]:
    """Yield batches of the part's row groups, from its first row to its last."""
    with _open(part.source) as file:
        groups, skip, rows_read = list(range(part.start, part.stop)), part.skip, 0
        batches = file.iter_batches(
            selection.chunk, row_groups=groups, columns=selected_columns(selection), use_threads=False
        )
        for batch in batches:
            if rows_read == part.rows:
                return
            some = batch.slice(skip, part.rows - rows_read)
            skip = max(0, skip - batch.num_rows)
            if some.num_rows:
                yield chunk(some, part.first + rows_read, part, selection)
            rows_read += some.num_rows


def empty(part: Part, selection: Selection) -> Chunk:
    """Return a chunk without rows."""
    with _open(part.source) as file:
        return chunk(file.schema_arrow.empty_table().select(selected_columns(selection)), 0, part, selection)


def _open(url: str) -> pq.ParquetFile:
    try:
        if url.startswith("file://"):
            return pq.ParquetFile(url.removeprefix("file://"))
        return pq.ParquetFile(open_source(url))
    except (pa.ArrowInvalid, OSError) as error:
        raise BatchError(f"not a readable Parquet file: {error}", where=url) from error
