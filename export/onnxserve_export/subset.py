"""A subset of the rows, on disk so that the data set needn't fit in memory."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

KEY = 16  # bytes of a row's SHA-256 that tell it from others
FRACTIONS = {"fit": 0.40, "calibrate": 0.08, "select": 0.12, "certify": 0.40}
LENGTH = 8


@dataclass(frozen=True)
class Row:
    """One instance as a client would send it, and its label (a label's text, or a number)."""

    value: Any
    label: Any


@dataclass
class Subset:
    """Rows in the order in which they came, read from disk each time; `keys` are their hashes."""

    path: Path
    keys: list[bytes] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.keys)

    def __iter__(self) -> Iterator[Row]:
        with self.path.open("rb") as stream:
            for _ in self.keys:
                size = int.from_bytes(stream.read(LENGTH))
                yield Row(*msgspec.msgpack.decode(stream.read(size)))

    @property
    def digest(self) -> str:
        """SHA-256 over the rows' hashes, whatever their order."""
        return hashlib.sha256(b"".join(sorted(self.keys))).hexdigest()


def spool(rows: Iterable[tuple[str, Row]], names: Iterable[str], folder: Path) -> dict[str, Subset]:
    """Write each row to the subset that is named beside it."""
    folder.mkdir(parents=True, exist_ok=True)
    subsets = {name: Subset(folder / name) for name in names}
    files: dict[str, BinaryIO] = {}
    try:
        files = {name: subset.path.open("wb") for name, subset in subsets.items()}
        for name, row in rows:
            packed = msgspec.msgpack.encode([row.value, row.label])
            files[name].write(len(packed).to_bytes(LENGTH) + packed)
            subsets[name].keys.append(hashlib.sha256(msgspec.json.encode([row.value, row.label])).digest()[:KEY])
    finally:
        for stream in files.values():
            stream.close()
    return subsets
