"""Lines of text, records of lines, and the faults of a single line."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import NamedTuple, Protocol

from onnxserve.batch.chunk import Fault

BLOCK = 2**20
MOST = 64 * 2**20  # bytes of one line; a file without line ends must not fill the memory
TOO_LONG = Fault("undecodable_body", f"a line of more than {MOST} bytes")
NOT_TEXT = Fault("undecodable_body", "not UTF-8")


class Stream(Protocol):
    """What lines are read from."""

    def read(self, size: int, /) -> bytes:
        """Return the next bytes, at most `size`; none at the end."""


class Record(NamedTuple):
    """One row's bytes, without its line end; `text` is None for a line that is too long to keep."""

    line: int  # from 1
    start: int
    stop: int  # offset of what follows
    text: bytes | None


class Block(NamedTuple):
    """Lines that follow each other, without the last one's end; `text` is None for one line too long to keep."""

    line: int  # from 1
    start: int
    stop: int
    text: bytes | None

    def lines(self) -> Iterator[Record]:
        """Yield the lines."""
        if self.text is None:
            yield Record(*self)
            return
        start = self.start
        for line, text in enumerate(self.text.split(b"\n"), self.line):
            stop = min(start + len(text) + 1, self.stop)  # the last line of a file may have no end
            yield Record(line, start, stop, text.removesuffix(b"\r"))
            start = stop


def blocks(stream: Stream, start: int, line: int, size: int = -1) -> Iterator[Block]:
    """Yield lines in blocks from the stream's position, which is offset `start`: `size` bytes of them, or all."""
    rest, skipped, left = b"", 0, size
    while left and (some := stream.read(BLOCK if left < 0 else min(BLOCK, left))):
        left -= len(some) if left > 0 else 0
        *whole, rest = (rest + some).rsplit(b"\n", 1)
        if whole and skipped:  # the end of a line too long to keep comes first
            end, *whole = whole[0].split(b"\n", 1)
            stop = start + skipped + len(end) + 1
            yield Block(line, start, stop, None)
            line, start, skipped = line + 1, stop, 0
        for text in whole:
            stop = start + len(text) + 1
            yield Block(line, start, stop, text)
            line, start = line + text.count(b"\n") + 1, stop
        if len(rest) > MOST:
            rest, skipped = b"", skipped + len(rest)
    if rest or skipped:
        yield Block(line, start, start + skipped + len(rest), None if skipped else rest)


def lines(stream: Stream, start: int, line: int, size: int = -1) -> Iterator[Record]:
    """Yield lines one by one from the stream's position, as `blocks` does."""
    return chain.from_iterable(block.lines() for block in blocks(stream, start, line, size))


def skip_empty(records: Iterable[Record]) -> Iterator[Record]:
    """Skip empty lines, which are no rows."""
    return (record for record in records if record.text is None or record.text.strip())


def decode_record(record: Record) -> str | Fault:
    """Return a record's text, or why it has none."""
    if record.text is None:
        return TOO_LONG
    try:
        return record.text.decode()
    except UnicodeDecodeError:
        return NOT_TEXT


def decode_records(records: Sequence[Record]) -> tuple[list[str], list[int], dict[int, Fault]]:
    """Return texts, their places, and the faults of the other records."""
    texts, places, faults = [], [], dict[int, Fault]()
    for place, record in enumerate(records):
        text = decode_record(record)
        if isinstance(text, Fault):
            faults[place] = text
        else:
            texts.append(text)
            places.append(place)
    return texts, places, faults


def text_of(record: Record) -> str:
    """Return a record's text for the quarantine."""
    return (record.text or b"").decode(errors="backslashreplace")
