"""Files of images or sounds, each a row; one that can't be opened is a bad row."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pyarrow as pa

from onnxserve.batch.chunk import Chunk, Fault
from onnxserve.batch.part import Cut, Part, Selection, Source
from onnxserve.batch.sources import open_source
from onnxserve.errors import BatchError

WORKERS = 8  # files under way at once: object stores answer slowly, and many
PATH = "path"


def columns(source: Source, _delimiter: str) -> dict[str, str]:
    """Return the path, which may be kept, and the content."""
    return {PATH: "text", source.kind.removesuffix("s"): "bytes"}


def cut(source: Source, _selection: Selection, rows: int) -> Iterator[Cut]:
    """Cut anywhere."""
    for start in range(0, len(source.paths), rows):
        stop = min(start + rows, len(source.paths))
        yield Cut(start, stop - start, start, stop)


def read(part: Part, selection: Selection) -> Iterator[Chunk]:
    """Yield chunks of a few files."""
    with ThreadPoolExecutor(WORKERS) as pool:
        for start in range(0, part.rows, selection.chunk):
            paths = part.paths[start : min(start + selection.chunk, part.rows)]
            contents = list(pool.map(_content, paths))
            good = [place for place, content in enumerate(contents) if isinstance(content, bytes)]
            yield Chunk(
                first=part.first + start,
                size=len(paths),
                places=np.array(good, np.intp),
                columns=None,
                values=[contents[place] for place in good],
                kept=pa.table({PATH: list(paths)}) if selection.keep else None,
                faults={place: content for place, content in enumerate(contents) if isinstance(content, Fault)},
                position=paths.__getitem__,
                raw=paths.__getitem__,
            )


def empty(_part: Part, selection: Selection) -> Chunk:
    """Return a chunk without files."""
    kept = pa.table({PATH: pa.array([], pa.string())}) if selection.keep else None
    return Chunk(0, 0, np.array([], np.intp), None, [], kept, {}, str, str)


def _content(path: str) -> bytes | Fault:
    try:
        with open_source(path) as stream:
            return stream.read()
    except (OSError, BatchError) as error:
        return Fault("undecodable_body", f"can't be read: {error}")
