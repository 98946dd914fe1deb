"""The output of a job: Parquet files that appear whole, one for each part, or for each part and partition."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import IO, Any, Self
from urllib.parse import quote

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from onnxserve.disk import sync_folder
from onnxserve.errors import BatchError
from onnxserve.locations.filesystem import locate

MOST_OPEN = 500  # partitions of one part
STATE = "_job"
LOCK = "lock"
GROUP = 131_072  # rows
EMPTY = "__HIVE_DEFAULT_PARTITION__"
ROW = "__onnxserve_row"  # of the table that is parted


class WrittenFile(msgspec.Struct, frozen=True):
    """One finished file."""

    name: str
    rows: int
    bytes: int
    sha256: str


class Folder:
    """Where the output goes; a path or a URL."""

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")
        self.fs, self.root = locate(self.url)
        self.local = "file" in (self.fs.protocol if isinstance(self.fs.protocol, tuple) else (self.fs.protocol,))

    def path(self, name: str) -> str:
        """Return the path of a file in the folder."""
        return f"{self.root}/{name}"

    def read(self, name: str) -> bytes | None:
        """Return a file's content; None if there is no file."""
        with suppress(FileNotFoundError):
            return bytes(self.fs.cat_file(self.path(name)))
        return None

    def write(self, name: str, content: bytes) -> None:
        """Write a file, whole or not at all."""
        with self.create(name) as stream:
            stream.write(content)

    def create(self, name: str) -> Stream:
        """Open a file that appears when it is closed."""
        return Stream(self, name)

    def names(self, folder: str) -> list[str]:
        """Return the sorted names of the files in a folder below this one."""
        with suppress(FileNotFoundError):
            return sorted(PurePosixPath(path).name for path in self.fs.ls(self.path(folder), detail=False))
        return []

    def clear(self) -> None:
        """Delete everything in it but the lock."""
        for name in [*self.names(""), *(f"{STATE}/{name}" for name in self.names(STATE))]:
            if name not in (STATE, f"{STATE}/{LOCK}"):
                self.fs.rm(self.path(name), recursive=True)


class Stream:
    """A file that is written, counted and digested. Object stores show only whole files; on disks a rename does it."""

    def __init__(self, folder: Folder, name: str) -> None:
        self.folder, self.name = folder, name
        self.path = folder.path(name)
        self._written = self.path
        if folder.local:
            parent, _, last = self.path.rpartition("/")
            folder.fs.makedirs(parent, exist_ok=True)
            self._written = f"{parent}/.{last}.{os.getpid()}"
        self.digest, self.size = hashlib.sha256(), 0
        self._file: IO[bytes] = folder.fs.open(self._written, "wb")
        self.closed = False

    def write(self, content: Any) -> int:
        """Write bytes; return their number, as a file does."""
        view = memoryview(content)
        self.digest.update(view)
        self.size += view.nbytes
        self._file.write(view)
        return view.nbytes

    def flush(self) -> None:
        """Do nothing: only a closed file counts."""

    def close(self) -> None:
        """Write the last bytes and give the file its name."""
        if not self.closed:
            self.closed = True
            if self.folder.local:
                self._file.flush()
                os.fsync(self._file.fileno())
            self._file.close()
            if self._written != self.path:
                os.replace(self._written, self.path)  # noqa: PTH105 - paths are fsspec's strings
                sync_folder(Path(self.path).parent)  # a record must not survive a crash that its files don't

    def abandon(self) -> None:
        """Delete the unfinished file."""
        self.closed = True
        with suppress(Exception):
            self._file.close()
        with suppress(FileNotFoundError):
            self.folder.fs.rm_file(self._written)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, failed: object, *_: object) -> None:
        self.abandon() if failed else self.close()


class Writer:
    """The files of one part."""

    def __init__(self, folder: Folder, number: int, partition: Sequence[str], metadata: dict[str, str]) -> None:
        self._folder, self._partition, self._metadata = folder, list(partition), metadata
        self._name = f"part-{number:05}.parquet"
        self._open: dict[str, tuple[Stream, pq.ParquetWriter]] = {}
        self._rows: dict[str, int] = {}

    def write(self, table: pa.Table) -> None:
        """Write rows to their partitions."""
        for name, some in self._partitions(table):
            if name not in self._open:
                self._open[name] = self._open_file(name, some.schema)
            self._open[name][1].write_table(some, row_group_size=GROUP)
            self._rows[name] = self._rows.get(name, 0) + some.num_rows

    def close(self) -> list[WrittenFile]:
        """Finish all files and return them."""
        files = []
        for name, (stream, writer) in self._open.items():
            writer.close()
            stream.close()
            files.append(WrittenFile(name, self._rows[name], stream.size, stream.digest.hexdigest()))
        return files

    def abandon(self) -> None:
        """Delete all unfinished files."""
        for stream, writer in self._open.values():
            with suppress(Exception):
                writer.close()
            stream.abandon()

    def _open_file(self, name: str, schema: pa.Schema) -> tuple[Stream, pq.ParquetWriter]:
        if len(self._open) == MOST_OPEN:
            raise BatchError(f"more than {MOST_OPEN} partitions in a part", fix="partition by a column of fewer values")
        stream = self._folder.create(name)
        coded = [field.name for field in schema if pa.types.is_dictionary(field.type) or pa.types.is_string(field.type)]
        options: dict[str, Any] = {"use_dictionary": coded, "column_encoding": {"row": "DELTA_BINARY_PACKED"}}
        return stream, pq.ParquetWriter(stream, schema.with_metadata(self._metadata), **options)

    def _partitions(self, table: pa.Table) -> Iterator[tuple[str, pa.Table]]:
        if not self._partition or not table.num_rows:  # no rows belong to no partition
            yield self._name, table
            return
        rest = table.drop_columns(self._partition)
        for values, places in group_rows(table.select(self._partition)):
            folders = [
                f"{quote_value(name)}={EMPTY if value is None else quote_value(str(value))}"
                for name, value in values.items()
                for name, value in values.items()
            ]
            yield "/".join([*folders, self._name]), rest.take(places)


def group_rows(keys: pa.Table) -> Iterator[tuple[dict[str, Any], pa.Array]]:
    """Yield each combination of values and the rows that have it; BatchError for a type that can't be grouped."""
    rows = keys.append_column(ROW, pa.array(np.arange(keys.num_rows)))
    try:
        groups = rows.group_by(keys.column_names, use_threads=False).aggregate([(ROW, "list")])
    except pa.ArrowNotImplementedError as error:
        types = ", ".join(f"{field.name} is {field.type}" for field in keys.schema)
        raise BatchError(f"can't partition by columns of these types: {types}", where="--partition-by") from error
    for values, places in zip(groups.select(keys.column_names).to_pylist(), groups.column(f"{ROW}_list"), strict=True):
        yield values, places.values


def quote_value(text: str) -> str:
    """Quote a part of a folder's name, so that a slash in a value can't name another folder."""
    return quote(text, safe="")
