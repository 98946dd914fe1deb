"""Numpy's own file format: one array of numbers, for inputs that are too big for JSON; a response may have it too.

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
from ..inputs.tensors_arrays import AXES
from ..response import PLAIN, Response, Result
from ..signature import Signature

NPY_MAGIC = b"\x93NUMPY"
NPY_TYPE = "application/x-npy"
PREFIX = len(NPY_MAGIC) + 2  # the magic bytes and the version, a byte for each part
LENGTHS = {1: 2, 2: 4, 3: 4}  # bytes of the header's length, by major version
MOST_HEADER = 10_000  # bytes, as numpy's own reader has it; a header of numbers has 128
# The Python literals that describe an array of numbers; a client's text is never evaluated.
FIELD = re.compile(r"""\s*['"](\w+)['"]\s*:\s*('[^']*'|"[^"]*"|True|False|\([\d\s,L]*\))\s*(?:,|$)""")
NUMBERS = re.compile(r"[<>=|]?(?:b1|[iu][1248]|f[248])")
SIZE = re.compile(r"\d{1,19}")


class Header(NamedTuple):
    """What an array is, and at which byte its elements begin."""

    dtype: np.dtype[Any]
    columns_first: bool
    shape: tuple[int, ...]
    start: int


def read_npy(content: bytes | bytearray) -> npt.NDArray[Any]:
    """Return the array without a copy of its elements; raises UndecodableBody for anything but an array of numbers."""
    header = read_npy_header(content)
    rest, needed = len(content) - header.start, math.prod(header.shape) * header.dtype.itemsize
    if rest != needed:
        reason = f"an .npy file of shape {header.shape} has {rest} bytes of elements, not {needed}"
        raise UndecodableBody(reason, fix="send the whole file, and nothing behind it")
    array = np.frombuffer(content, header.dtype, offset=header.start)
    return array.reshape(header.shape, order="F" if header.columns_first else "C")


def read_npy_header(content: bytes | bytearray) -> Header:
    """Read the header of any version of the format; raises UndecodableBody."""
    width = LENGTHS.get(content[len(NPY_MAGIC)], 0) if len(content) > PREFIX and content.startswith(NPY_MAGIC) else 0
    start = PREFIX + width + int.from_bytes(content[PREFIX : PREFIX + width], "little")
    if not width or start > len(content):
        raise _malformed("its first bytes aren't the format's")
    if start > MOST_HEADER:
        raise _malformed(f"its header has {start} bytes, at most {MOST_HEADER} are read")
    fields = _header_fields(content[PREFIX + width : start].decode("latin-1").strip())
    descr, order, shape = (fields.get(name, "") for name in ("descr", "fortran_order", "shape"))
    if len(fields) != 3 or not NUMBERS.fullmatch(descr[1:-1]) or order not in ("True", "False") or shape[:1] != "(":
        raise _malformed("its elements aren't numbers")
    sizes = [size.strip().rstrip("L") for size in shape[1:-1].split(",") if size.strip()]
    if not 1 <= len(sizes) <= AXES or not all(SIZE.fullmatch(size) and int(size) for size in sizes):
        raise _malformed(f"its shape is {shape[:99]}")
    return Header(np.dtype(descr[1:-1]), order == "True", tuple(map(int, sizes)), start)


def _header_fields(text: str) -> dict[str, str]:
    """Return the fields of a literal dictionary as text."""
    fields, position, stop = dict[str, str](), 1, len(text) - 1
    if not text.startswith("{") or not text.endswith("}"):
        raise _malformed("its header isn't a dictionary")
    while text[position:stop].strip():
        field = FIELD.match(text, position, stop)
        if field is None:
            raise _malformed("its header doesn't describe an array of numbers")
        fields[field[1]] = field[2]
        position = field.end()
    return fields


def _malformed(reason: str) -> UndecodableBody:
    return UndecodableBody(f"not an .npy file of plain numbers: {reason}", fix="send what numpy.save writes")


class NpyForm:
    """The first output as an .npy file; errors have the plain form."""

    holds_row_errors = False

    def encode_result(self, result: Result) -> Response:
        """Return the array, shape (rows, ...)."""
        stream = io.BytesIO()
        np.save(stream, next(iter(result.outputs.values())), allow_pickle=False)
        return Response(stream.getvalue(), NPY_TYPE)

    def encode_error(self, error: RequestError, signature: Signature) -> Response:
        """Return the plain form's error."""
        return PLAIN.encode_error(error, signature)
