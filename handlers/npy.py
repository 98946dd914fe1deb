"""One array in numpy's own file format, for inputs too big for JSON.

Source: https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html.
"""

from __future__ import annotations

import io
import math
from typing import Any

import numpy as np
import numpy.typing as npt

from .errors import RequestError, UndecodableBody
from .forms import PLAIN, Answer, Result
from .signature import Signature

MAGIC = b"\x93NUMPY"
MEDIA = "application/x-npy"


def read_npy(content: bytes | bytearray) -> npt.NDArray[Any]:
    """The array, without a copy of its elements; objects and Fortran order are refused."""
    stream = io.BytesIO(content)
    try:
        version = np.lib.format.read_magic(stream)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, fortran, dtype = read(stream)
    except (ValueError, EOFError, SyntaxError, OSError) as error:
        raise UndecodableBody(f"not an .npy file: {error}", fix="send what numpy.save writes") from error
    rest = len(content) - stream.tell()
    if fortran or dtype.hasobject or not dtype.isnative or not shape or rest != math.prod(shape) * dtype.itemsize:
        raise UndecodableBody("an .npy file of plain numbers in C order is expected", fix="numpy.ascontiguousarray")
    return np.frombuffer(content, dtype, offset=stream.tell()).reshape(shape)


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
