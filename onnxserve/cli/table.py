"""Tables that fit their terminal: names stay whole, numbers stand to the right.

Columns that are too wide together wrap between words. Where whole words are still too wide, each row becomes a block of
lines, one a field.
"""

from __future__ import annotations

import os
import sys
import textwrap
from collections.abc import Sequence

from .console import out

GAP = 2  # columns of the terminal between two columns of a table


class Number(str):
    """The heading of a column of numbers."""

    __slots__ = ()


def print_table(headings: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print a table as wide as the terminal; in a file or a pipe each row is a line, unless COLUMNS is set."""
    width = out.width if out.is_terminal or os.environ.get("COLUMNS") else sys.maxsize
    for line in table_lines(headings, rows, width):
        out.print(line, markup=False)


def table_lines(headings: Sequence[str], rows: Sequence[Sequence[object]], width: int) -> list[str]:
    """Lay a table out, a string a line; a newline in a cell starts a line of that cell."""
    cells = [[str(cell) for cell in row] for row in rows]
    widths = _widths(headings, cells, width)
    if widths is None:
        return _blocks(headings, cells, width)
    return [line for row in (headings, *cells) for line in _row(headings, row, widths)]


def _widths(headings: Sequence[str], cells: Sequence[Sequence[str]], width: int) -> list[int] | None:
    """Return the width of each column, or None where whole words don't fit [characters]."""
    columns = [[heading, *column] for heading, column in zip(headings, _transpose(headings, cells), strict=True)]
    widths = [max(len(line) for cell in column for line in cell.splitlines() or [""]) for column in columns]
    least = [
        whole if isinstance(heading, Number) else max(len(word) for cell in column for word in cell.split() or [""])
        for heading, column, whole in zip(headings, columns, widths, strict=True)
    ]
    room = width - GAP * (len(headings) - 1)
    if sum(least) > room:
        return None
    while sum(widths) > room:
        widest = max((at for at in range(len(widths)) if widths[at] > least[at]), key=widths.__getitem__)
        widths[widest] -= 1
    return widths


def _transpose(headings: Sequence[str], cells: Sequence[Sequence[str]]) -> list[tuple[str, ...]]:
    return list(zip(*cells, strict=True)) if cells else [()] * len(headings)


def _row(headings: Sequence[str], row: Sequence[str], widths: Sequence[int]) -> list[str]:
    """Return the lines of one row."""
    wrapped = [_wrap(cell, width) for cell, width in zip(row, widths, strict=True)]
    lines = []
    for at in range(max(len(cell) for cell in wrapped)):
        texts = [cell[at] if at < len(cell) else "" for cell in wrapped]
        parts = [
            text.rjust(width) if isinstance(heading, Number) else text.ljust(width)
            for heading, text, width in zip(headings, texts, widths, strict=True)
        ]
        lines.append((" " * GAP).join(parts).rstrip())
    return lines


def _blocks(headings: Sequence[str], cells: Sequence[Sequence[str]], width: int) -> list[str]:
    """Return each row as lines of `heading: value`, with an empty line between rows."""
    margin = max(map(len, headings)) + GAP  # the heading, a colon, a space
    lines: list[str] = []
    for row in cells:
        lines += [""] if lines else []
        for heading, cell in zip(headings, row, strict=True):
            first, *rest = _wrap(cell, width - margin)
            lines.append(f"{heading + ':':<{margin}}{first}".rstrip())
            lines += [" " * margin + text for text in rest]
    return lines


def _wrap(cell: str, width: int) -> list[str]:
    """Return a cell's lines, broken between words alone."""
    width = max(1, min(width, len(cell) + 1))
    return [
        line
        for paragraph in cell.splitlines() or [""]
        for line in textwrap.wrap(paragraph, width, break_long_words=False, break_on_hyphens=False) or [""]
    ]
