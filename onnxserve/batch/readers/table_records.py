"""Records of CSV (RFC 4180), which quotes may spread over lines."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from .lines import Block, Record
from .runs import Run, Singles, lines_of

QUOTE = b'"'
BLANK = b" \r"  # a line of these alone is no row, unless it is inside quotes; tabs are empty fields of a row
MOST_LINES = 200  # of one record; a quote that is never closed must not swallow the rest


class Joiner:
    """Joins lines while a quote is open; a quote that is never closed spoils its own line only."""

    def __init__(self) -> None:
        self.waiting: list[Record] = []

    def join(self, source_lines: Iterable[Record]) -> Iterator[Record]:
        """Yield the records that are complete with these lines, which follow the former ones."""
        source, again = iter(source_lines), list[Record]()
        while line := again.pop(0) if again else next(source, None):
            text = line.text
            if not self.waiting and text is not None and QUOTE not in text:
                if text.strip(BLANK):
                    yield line
                continue
            self.waiting.append(line)
            if text is None or len(self.waiting) > MOST_LINES:
                yield self.waiting[0]
                again, self.waiting = self.waiting[1:] + again, []
            elif not _open(self.waiting):
                first = self.waiting[0]
                joined = text if len(self.waiting) == 1 else b"\n".join(part.text or b"" for part in self.waiting)
                yield Record(first.line, first.start, line.stop, joined)
                self.waiting = []

    def end(self) -> Iterator[Record]:
        """Yield what waits for a quote that doesn't come."""
        while self.waiting:
            first, *others = self.waiting
            self.waiting = []
            yield first
            yield from self.join(others)


def records(source_lines: Iterable[Record]) -> Iterator[Record]:
    """Yield the records of lines, one by one."""
    joiner = Joiner()
    yield from joiner.join(source_lines)
    yield from joiner.end()


def runs(blocks: Iterable[Block]) -> Iterator[Run]:
    """Yield the records of blocks; the lines of a block without quotes stay together."""
    joiner = Joiner()
    for block in blocks:
        is_plain = not joiner.waiting and block.text is not None and QUOTE not in block.text
        if is_plain and (lines := lines_of(block, BLANK + b"\n")):
            yield lines
        elif complete := list(joiner.join(block.lines())):
            yield Singles(complete)
    if rest := list(joiner.end()):
        yield Singles(rest)


def _open(waiting: Sequence[Record]) -> bool:
    return sum((part.text or b"").count(QUOTE) for part in waiting) % 2 == 1
