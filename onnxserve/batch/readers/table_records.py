"""Records of CSV (RFC 4180), which quotes may spread over lines."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from .lines import Record

QUOTE = b'"'
MOST_LINES = 200  # of one record; a quote that is never closed must not swallow the rest


def records(source_lines: Iterable[Record]) -> Iterator[Record]:
    """Join lines while a quote is open; a quote that is never closed spoils its own line only."""
    source, waiting, again = iter(source_lines), list[Record](), list[Record]()
    while line := again.pop(0) if again else next(source, None):
        text = line.text
        if not waiting and text is not None and QUOTE not in text:  # most lines
            if text.strip(b" \r"):  # empty lines are rows inside quotes only; tabs are empty fields of a row
                yield line
            continue
        waiting.append(line)
        if text is None or len(waiting) > MOST_LINES:
            yield waiting[0]
            again, waiting = waiting[1:] + again, []
        elif not _open(waiting):
            joined = text if len(waiting) == 1 else b"\n".join(part.text or b"" for part in waiting)
            yield Record(waiting[0].line, waiting[0].start, line.stop, joined)
            waiting = []
    if waiting:  # the end came before the quote
        yield waiting[0]
        yield from records(waiting[1:])


def _open(waiting: Sequence[Record]) -> bool:
    return sum((part.text or b"").count(QUOTE) for part in waiting) % 2 == 1
