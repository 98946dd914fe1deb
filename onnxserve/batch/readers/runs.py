"""Records that follow each other in a file: lines that are one record each are kept as one text.

So what each of millions of lines would cost in Python is paid only where something must be known about one of them.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate, chain
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from onnxserve.batch.part import Cut

from .lines import Block, Record


class Lines(NamedTuple):
    """Lines that are one record each; `text` lacks the last one's end, and `ends` are the places of all ends in it."""

    line: int
    start: int
    stop: int
    text: bytes
    ends: npt.NDArray[np.intp]

    @property
    def size(self) -> int:
        """The number of records."""
        return len(self.ends)

    @property
    def content(self) -> bytes | None:
        """The records' texts, joined by LF."""
        if b"\r" not in self.text:
            return self.text
        return self.text.replace(b"\r\n", b"\n").removesuffix(b"\r")

    def records(self) -> Iterator[Record]:
        """Yield the records."""
        return Block(self.line, self.start, self.stop, self.text).lines()

    def record(self, place: int) -> Record:
        """Return one record."""
        begin, end = int(self.ends[place - 1]) + 1 if place else 0, int(self.ends[place])
        stop = min(self.start + end + 1, self.stop)
        return Record(self.line + place, self.start + begin, stop, self.text[begin:end].removesuffix(b"\r"))

    def split(self, count: int) -> tuple[Lines, Lines]:
        """Return the first `count` records, which aren't all, and the others."""
        end = int(self.ends[count - 1])
        middle = self.start + end + 1
        first = Lines(self.line, self.start, middle, self.text[:end], self.ends[:count])
        return first, Lines(self.line + count, middle, self.stop, self.text[end + 1 :], self.ends[count:] - end - 1)


class Singles(NamedTuple):
    """Records one by one."""

    whole: Sequence[Record]

    @property
    def size(self) -> int:
        """The number of records."""
        return len(self.whole)

    @property
    def line(self) -> int:
        """The first record's line."""
        return self.whole[0].line

    @property
    def start(self) -> int:
        """The offset of the first record."""
        return self.whole[0].start

    @property
    def stop(self) -> int:
        """The offset of what follows the last one."""
        return self.whole[-1].stop

    @property
    def content(self) -> bytes | None:
        """The records' texts, joined by LF; None if one of them is too long to keep."""
        texts = [record.text for record in self.whole if record.text is not None]
        return b"\n".join(texts) if len(texts) == self.size else None

    def records(self) -> Iterator[Record]:
        """Yield the records."""
        return iter(self.whole)

    def record(self, place: int) -> Record:
        """Return one record."""
        return self.whole[place]

    def split(self, count: int) -> tuple[Singles, Singles]:
        """Return the first `count` records, which aren't all, and the others."""
        return Singles(self.whole[:count]), Singles(self.whole[count:])


Run = Lines | Singles


class Group:
    """Records that are read together."""

    def __init__(self, runs: Sequence[Run]) -> None:
        self._runs = runs
        self._stops = list(accumulate((run.size for run in runs), initial=0))

    def __len__(self) -> int:
        return self._stops[-1]

    def __iter__(self) -> Iterator[Record]:
        return chain.from_iterable(run.records() for run in self._runs)

    def __getitem__(self, place: int) -> Record:
        number = bisect_right(self._stops, place) - 1
        return self._runs[number].record(place - self._stops[number])

    @property
    def content(self) -> bytes | None:
        """The records' texts, joined by LF; None if one of them is too long to keep."""
        contents = [content for run in self._runs if (content := run.content) is not None]
        return b"\n".join(contents) if len(contents) == len(self._runs) else None


def lines_of(block: Block, blank: bytes) -> Lines | None:
    """Return the block's lines; None if one may be empty, or was too long to keep.

    A line may be empty that begins with one of the bytes `blank`, or has none.
    """
    text = block.text
    if not text or text.endswith(b"\n"):
        return None
    every = np.frombuffer(text, np.uint8)
    inner = np.flatnonzero(every == ord("\n"))
    if text[0] in blank or np.isin(every[inner + 1], list(blank)).any():
        return None
    return Lines(block.line, block.start, block.stop, text, np.append(inner, len(text)))


def aligned(runs: Iterable[Run], size: int) -> Iterator[Run]:
    """Yield the runs in pieces, none of which has records on both sides of a multiple of `size`."""
    left = size
    for run in runs:
        rest = run
        while rest.size > left:
            first, rest = rest.split(left)
            yield first
            left = size
        yield rest
        left = left - rest.size or size


def groups(runs: Iterable[Run], size: int, most: int) -> Iterator[Group]:
    """Yield groups of at most `size` records, `most` records in all."""
    group, waiting, left = list[Run](), 0, most
    for run in aligned(runs, size):
        taken = run if run.size <= left else run.split(left)[0]
        group.append(taken)
        waiting, left = waiting + taken.size, left - taken.size
        if waiting == size or not left:
            yield Group(group)
            group, waiting = [], 0
        if not left:
            return
    if group:
        yield Group(group)


def cuts(runs: Iterable[Run], rows: int) -> Iterator[Cut]:
    """Yield a piece for every `rows` records."""
    first, opening, last, number = 0, None, None, 0
    for run in aligned(runs, rows):
        opening, last, number = opening or (run.start, run.line), run.stop, number + run.size
        if number - first == rows:
            yield Cut(first, number - first, opening[0], last, opening[1])
            first, opening = number, None
    if opening and last:
        yield Cut(first, number - first, opening[0], last, opening[1])
