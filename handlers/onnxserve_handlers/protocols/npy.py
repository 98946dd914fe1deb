"""One array in numpy's own file format, for inputs too big for JSON.

Source: https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html.
"""

from __future__ import annotations

import io
import math
import re
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ..errors import RequestError, UndecodableBody
from ..response import PLAIN, Answer, Result
from ..signature import Signature

MAGIC = b"\x93NUMPY"
MEDIA = "application/x-npy"
PREFIX = len(MAGIC) + 2  # and the version, a byte for each part
LENGTHS = {1: 2, 2: 4, 3: 4}  # bytes of the header's length, by major version
# Of Python's literals, those that describe an array of numbers: a client's text is never evaluated.
FIELD = re.compile(r"""\s*['"](\w+)['"]\s*:\s*('[^']*'|"[^"]*"|True|False|\([\d\s,L]*\))\s*(?:,|$)""")
NUMBERS = re.compile(r"[<>=|]?(?:b1|[iu][1248]|f[248])")
SIZE = re.compile(r"\d{1,19}")
AXES = 32  # numpy has a limit too


class Header(NamedTuple):
    """What an array is, and where its elements begin."""

    dtype: np.dtype[Any]
    columns_first: bool
    shape: tuple[int, ...]
    start: int


def read_npy(content: bytes | bytearray) -> npt.NDArray[Any]:
    """The array, without a copy of its elements; UndecodableBody for anything but numbers of a stated shape."""
    header = read_header(content)
    rest, needed = len(content) - header.start, math.prod(header.shape) * header.dtype.itemsize
    if rest != needed:
        raise UndecodableBody(f"an .npy file of shape {header.shape} has {rest} bytes of elements, not {needed}")
    array = np.frombuffer(content, header.dtype, offset=header.start)
    return array.reshape(header.shape, order="F" if header.columns_first else "C")


def read_header(content: bytes | bytearray) -> Header:
    """Of any version of the format."""
    width = LENGTHS.get(content[len(MAGIC)], 0) if len(content) > PREFIX and content.startswith(MAGIC) else 0
    start = PREFIX + width + int.from_bytes(content[PREFIX : PREFIX + width], "little")
    if not width or start > len(content):
        raise _wrong("its beginning is none")
    fields = _fields(content[PREFIX + width : start].decode("latin-1").strip())
    descr, order, shape = (fields.get(name, "") for name in ("descr", "fortran_order", "shape"))
    if len(fields) != 3 or not NUMBERS.fullmatch(descr[1:-1]) or order not in ("True", "False") or shape[:1] != "(":
        raise _wrong("it holds something else than numbers")
    sizes = [size.strip().rstrip("L") for size in shape[1:-1].split(",") if size.strip()]
    if not 1 <= len(sizes) <= AXES or not all(SIZE.fullmatch(size) and int(size) for size in sizes):
        raise _wrong(f"its shape is {shape[:99]}")
    return Header(np.dtype(descr[1:-1]), order == "True", tuple(map(int, sizes)), start)


def _fields(text: str) -> dict[str, str]:
    """A literal dictionary's fields, as text."""
    fields, at, stop = dict[str, str](), 1, len(text) - 1
    if not text.startswith("{") or not text.endswith("}"):
        raise _wrong("its header is none")
    while text[at:stop].strip():
        field = FIELD.match(text, at, stop)
        if field is None:
            raise _wrong("its header is none of an array of numbers")
        fields[field[1]] = field[2]
        at = field.end()
    return fields


def _wrong(why: str) -> UndecodableBody:
    return UndecodableBody(f"not an .npy file of plain numbers: {why}", fix="send what numpy.save writes")


class NpyForm:
    """The first output as an .npy file; errors in the plain form."""

    by_row = False

    def good(self, result: Result) -> Answer:
        """Shape (rows, ...)."""
        stream = io.BytesIO()
        np.save(stream, next(iter(result.outputs.values())), allow_pickle=False)
        return Answer(stream.getvalue(), MEDIA)

    def bad(self, error: RequestError, signature: Signature) -> Answer:
        """As everywhere."""
        return PLAIN.bad(error, signature)
