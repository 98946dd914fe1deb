"""Arrow IPC files (and Feather): cut at record batches; a stream is one part."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pyarrow as pa

from onnxserve.batch.chunk import Chunk
from onnxserve.batch.part import Cut, Part, Selection, Source
from onnxserve.batch.sources import open_source
from onnxserve.errors import BatchError

from .typed import chunk, names, selected_columns

MAGIC = b"ARROW1"


def columns(source: Source, _delimiter: str) -> dict[str, str]:
    """Return the columns of the schema."""
    with _open(source.url) as reader:
        return names(reader.schema, source.url)


def cut(source: Source, _selection: Selection, rows: int) -> Iterator[Cut]:
    """Cut between record batches, which can only be read whole."""
    with _open(source.url) as reader:
        if isinstance(reader, pa.ipc.RecordBatchStreamReader):
            yield Cut(0, sum(batch.num_rows for batch in reader), 0, 0)
            return
        first = start = count = 0
        for number in range(reader.num_record_batches):
            count += reader.get_batch(number).num_rows
            if count >= rows or number == reader.num_record_batches - 1:
                yield Cut(first, count, start, number + 1)
                first, start, count = first + count, number + 1, 0


def read(part: Part, selection: Selection) -> Iterator[Chunk]:
    """Yield the part's record batches in chunks."""
    with _open(part.source) as reader:
        stream = isinstance(reader, pa.ipc.RecordBatchStreamReader)
        batches = reader if stream else (reader.get_batch(number) for number in range(part.start, part.stop))
        rows_read = 0
        for batch in batches:
            rows = batch.select(selected_columns(selection))
            for start in range(0, rows.num_rows, selection.chunk):
                some = rows.slice(start, min(selection.chunk, part.rows - rows_read))
                if not some.num_rows:
                    return
                yield chunk(some, part.first + rows_read, part, selection)
                rows_read += some.num_rows


def empty(part: Part, selection: Selection) -> Chunk:
    """Return a chunk without rows."""
    with _open(part.source) as reader:
        return chunk(reader.schema.empty_table().select(selected_columns(selection)), 0, part, selection)


@contextmanager
def _open(url: str) -> Iterator[pa.ipc.RecordBatchFileReader | pa.ipc.RecordBatchStreamReader]:
    local = url.removeprefix("file://") if url.startswith("file://") else ""
    with pa.memory_map(local) if local else pa.PythonFile(open_source(url)) as file:
        try:
            head = file.read(len(MAGIC))
            file.seek(0)
            yield pa.ipc.open_file(file) if head == MAGIC else pa.ipc.open_stream(file)
        except (pa.ArrowInvalid, OSError) as error:
            raise BatchError(f"not a readable Arrow file: {error}", where=url) from error
