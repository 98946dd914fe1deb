"""A subset of the rows, on disk so that the data set needn't fit in memory."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec

KEY = 16  # bytes of a row's SHA-256 that tell it from others
FRACTIONS = {"fit": 0.40, "calibrate": 0.08, "select": 0.12, "certify": 0.40}
LENGTH = 8
WINDOW = 256  # rows that are put in order of their size: whoever reads a few hundred of them sees every size
WINDOW_BYTES = 2**20  # of them, which are in memory


@dataclass(frozen=True)
class Row:
    """One instance as a client would send it, and its label (a label's text, or a number)."""

    value: Any
    label: Any


@dataclass
class Subset:
    """Rows, read from disk each time; `keys` are their hashes."""

    path: Path
    keys: list[bytes] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.keys)

    def __iter__(self) -> Iterator[Row]:
        with self.path.open("rb") as stream:
            for _ in self.keys:
                size = int.from_bytes(stream.read(LENGTH))
                yield Row(*msgspec.msgpack.decode(stream.read(size)))

    def at(self, places: Sequence[int]) -> list[Row]:
        """Return the rows at these places, in the places' order."""
        wanted = set(places)
        first = enumerate(islice(self, max(places, default=-1) + 1))
        rows = {place: row for place, row in first if place in wanted}
        return [rows[place] for place in places]

    @property
    def digest(self) -> str:
        """SHA-256 over the rows' hashes, whatever their order."""
        return hashlib.sha256(b"".join(sorted(self.keys))).hexdigest()


class _Writer:
    """Writes the rows of one subset, each `window` of them in order of their values' size.

    Labels have no say: rows of one size, such as those of a table, would come in the order of their labels.
    """

    def __init__(self, path: Path, window: int) -> None:
        self.subset, self._window = Subset(path), window
        self._stream = path.open("wb")
        self._waiting: list[tuple[int, bytes, bytes]] = []
        self._bytes = 0

    def write(self, row: Row) -> None:
        """Take one row."""
        packed = msgspec.msgpack.encode([row.value, row.label])
        key = hashlib.sha256(msgspec.json.encode([row.value, row.label])).digest()[:KEY]
        self._waiting.append((len(packed) - len(msgspec.msgpack.encode(row.label)), key, packed))
        self._bytes += len(packed)
        if len(self._waiting) == self._window or self._bytes > WINDOW_BYTES:
            self._flush()

    def _flush(self) -> None:
        for _, key, packed in sorted(self._waiting):
            self._stream.write(len(packed).to_bytes(LENGTH) + packed)
            self.subset.keys.append(key)
        self._waiting.clear()
        self._bytes = 0

    def close(self) -> None:
        """Write what waits, and close the file."""
        with self._stream:
            self._flush()


def spool(
    rows: Iterable[tuple[str, Row]], names: Iterable[str], folder: Path, by_size: Collection[str] = ()
) -> dict[str, Subset]:
    """Write each row to the subset that is named beside it.

    The rows of subsets that `by_size` names follow each other by their size, so that batches of them pad little.
    """
    folder.mkdir(parents=True, exist_ok=True)
    writers = {name: _Writer(folder / name, WINDOW if name in by_size else 1) for name in names}
    try:
        for name, row in rows:
            writers[name].write(row)
    finally:
        for writer in writers.values():
            writer.close()
    return {name: writer.subset for name, writer in writers.items()}
