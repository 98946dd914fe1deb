"""Lines of text, records of lines, and the faults of a single line."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import IO, NamedTuple

from onnxserve.batch.chunk import Fault
from onnxserve.batch.part import Cut

BLOCK = 2**20
MOST = 64 * 2**20  # bytes of one line; a file without line ends must not fill the memory
TOO_LONG = Fault("undecodable_body", f"a line of more than {MOST} bytes")
NOT_TEXT = Fault("undecodable_body", "not UTF-8")


class Record(NamedTuple):
    """One row's bytes, without its line end; `text` is None for a line that is too long to keep."""

    line: int  # from 1
    start: int
    stop: int  # offset of what follows
    text: bytes | None


Records = Callable[[Iterable[Record]], Iterator[Record]]


def lines(stream: IO[bytes], start: int, line: int, size: int = -1) -> Iterator[Record]:
    """Yield lines from the stream's position, which is offset `start`: `size` bytes of them, or all."""
    rest, skipped, left = b"", 0, size
    while left and (block := stream.read(BLOCK if left < 0 else min(BLOCK, left))):
        left -= len(block) if left > 0 else 0
        *whole, rest = (rest + block).split(b"\n")
        for text in whole:
            stop = start + skipped + len(text) + 1
            yield Record(line, start, stop, None if skipped else text.removesuffix(b"\r"))
            line, start, skipped = line + 1, stop, 0
        if len(rest) > MOST:
            rest, skipped = b"", skipped + len(rest)
    if rest or skipped:
        yield Record(line, start, start + skipped + len(rest), None if skipped else rest.removesuffix(b"\r"))


def skip_empty(records: Iterable[Record]) -> Iterator[Record]:
    """Skip empty lines, which are no rows."""
    return (record for record in records if record.text is None or record.text.strip())


def cuts(records: Iterable[Record], rows: int) -> Iterator[Cut]:
    """Yield a piece for every `rows` records."""
    first, opening, last, number = 0, None, None, 0
    for record in records:
        opening, last, number = opening or record, record, number + 1
        if number - first == rows:
            yield Cut(first, number - first, opening.start, record.stop, opening.line)
            first, opening = number, None
    if opening and last:
        yield Cut(first, number - first, opening.start, last.stop, opening.line)


def groups(records: Iterable[Record], size: int, most: int) -> Iterator[list[Record]]:
    """Yield groups of at most `size` records, `most` records in all."""
    group: list[Record] = []
    for number, record in enumerate(records, 1):
        group.append(record)
        if len(group) == size or number == most:
            yield group
            group = []
        if number == most:
            return
    if group:
        yield group


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
