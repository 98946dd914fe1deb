"""Records of CSV without quotes: pyarrow splits them and converts their numbers, a column at a time.

It decides nothing about a row. A record that isn't plain, and a text that Arrow can't convert or might convert
otherwise than `cells.parse_numbers`, are left to the reader, which looks at them one at a time.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv

from .runs import Group

# Quotes, line ends that Arrow would see, zeros, and the byte order mark that it would drop.
MARKS = (b'"', b"\r", b"\0", b"\xef\xbb\xbf")
LARGEST = 2**31 - 2  # bytes that Arrow parses as one block
NUMBER = r"^-?[0-9]{1,20}(\.[0-9]{1,20})?([eE][-+]?[0-9]{1,2})?$"  # what all parsers of numbers agree on
SIGNIFICANT = "^[^eE]*[1-9]"  # a digit other than 0 before the exponent


class PlainRecords(NamedTuple):
    """The places of plain records, and their fields as texts, one column for each wanted name."""

    places: npt.NDArray[np.intp]
    fields: pa.Table


def split(some: Group, names: Sequence[str], wanted: Sequence[str], delimiter: str) -> PlainRecords:
    """Split the records among `some` that have no quotes, as many fields as there are `names`, and text in UTF-8."""
    if (fields := _parse(some.content, len(some), names, wanted, delimiter)) is not None:
        return PlainRecords(np.arange(len(some)), fields)
    texts = [record.text for record in some]
    mark, count = delimiter.encode(), len(names) - 1
    places = [place for place, text in enumerate(texts) if text is not None and _is_plain(text, mark, count)]
    content = b"\n".join(texts[place] or b"" for place in places)
    fields = _parse(content, len(places), names, wanted, delimiter)
    if fields is None:  # there are none, or Arrow can't take this delimiter
        places, fields = [], pa.table({name: pa.array([], pa.string()) for name in wanted})
    return PlainRecords(np.array(places, np.intp), fields)


def _is_plain(text: bytes, delimiter: bytes, count: int) -> bool:
    if text.count(delimiter) != count or any(mark in text for mark in MARKS):
        return False
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True


def _parse(
    content: bytes | None, count: int, names: Sequence[str], wanted: Sequence[str], delimiter: str
) -> pa.Table | None:
    """Return the wanted columns of `count` records, joined by LF, as texts; None unless all of them are plain."""
    if not content or len(content) >= LARGEST or any(mark in content for mark in MARKS):
        return None
    try:
        content.decode()  # Arrow looks at the wanted columns only
        table = csv.read_csv(
            pa.BufferReader(content),
            csv.ReadOptions(use_threads=False, block_size=len(content) + 1, column_names=list(names)),
            csv.ParseOptions(delimiter=delimiter, quote_char=False, double_quote=False),
            csv.ConvertOptions(
                include_columns=list(wanted),
                column_types=dict.fromkeys(wanted, pa.string()),
                strings_can_be_null=False,
            ),
        )
    except (pa.ArrowInvalid, ValueError):  # another number of fields, not UTF-8, a delimiter of several bytes
        return None
    return table.combine_chunks() if table.num_rows == count else None


def numbers(
    texts: pa.Array | pa.ChunkedArray, *, nullable: bool
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.bool_]]:
    """Return the numbers of a column, and which of its texts must be looked at one at a time; both of shape (rows,).

    Empty texts are NaN in a column that takes null.
    """
    try:
        converted = pc.cast(texts, pa.float64())
    except pa.ArrowInvalid:
        texts = pc.ascii_trim_whitespace(texts)
        converted = pc.cast(pc.if_else(pc.match_substring_regex(texts, NUMBER), texts, None), pa.float64())
    values = np.array(converted.to_numpy(zero_copy_only=False), np.float64)
    doubtful = ~np.isfinite(values)
    if nullable and doubtful.any():
        doubtful &= ~np.asarray(pc.equal(texts, "").to_numpy(zero_copy_only=False), bool)
    zeros = np.flatnonzero(values == 0)
    if len(zeros):
        vanished = pc.match_substring_regex(texts.take(pa.array(zeros)), SIGNIFICANT)
        doubtful[zeros] = vanished.to_numpy(zero_copy_only=False)
    return values, doubtful
