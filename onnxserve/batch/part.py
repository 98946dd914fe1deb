"""Sources of a job and their parts, which are small enough to be redone."""

from __future__ import annotations

from typing import Literal

import msgspec

Kind = Literal["parquet", "arrow", "csv", "jsonl", "images", "sounds"]
ALBUMS = ("images", "sounds")  # kinds of which each file is a row


class Source(msgspec.Struct, frozen=True):
    """One file, or a folder of images or sounds; `mark` changes with its content."""

    url: str
    kind: Kind
    size: int
    mark: str
    paths: tuple[str, ...] = ()  # of images or sounds


class Part(msgspec.Struct, frozen=True):
    """Consecutive rows of one source. `start` and `stop` count bytes, row groups, record batches or files."""

    number: int
    source: str
    kind: Kind
    first: int  # its first row's number in the source, from 0
    rows: int
    start: int
    stop: int
    line: int = 0  # of its first row, in text, from 1
    skip: int = 0  # rows of its first row group that are another part's
    paths: tuple[str, ...] = ()


class Selection(msgspec.Struct, frozen=True):
    """The columns that are read of each row, and how."""

    columns: dict[str, str]  # the model's name of a column: the source's
    numbers: bool  # one number a column; or else one value a row, which is an object if there are several columns
    keep: tuple[str, ...] = ()  # columns that go to the output as they are
    delimiter: str = ","
    chunk: int = 65_536  # rows in memory at a time
    keys: dict[str, str] = {}  # of a feature store's entities, and the time of the row: the source's column
    types: dict[
        str, str
    ] = {}  # of a table's columns, by the model's names, where not all are numbers: rows are objects
    nullable: tuple[str, ...] = ()  # the model's columns that take null
    optional: tuple[str, ...] = ()  # columns that an object of JSON lines may lack, which is null there


class Cut(msgspec.Struct, frozen=True):
    """A piece of a source, between two places where a reader can cut it."""

    first: int
    rows: int
    start: int
    stop: int
    line: int = 0
    skip: int = 0
