"""What libtiff, by which Pillow decodes compressed TIFFs, reports of damaged files.

By itself it writes to standard error, where a client could fill the server's log; and Pillow takes what a fax decoder
made of damaged lines for pixels. https://libtiff.gitlab.io/libtiff/functions/TIFFError.html
"""

from __future__ import annotations

import contextlib
import ctypes
import logging
import os
import threading
from functools import cache
from pathlib import Path

import PIL

WHEEL = "pillow.libs"  # where a wheel of Pillow has its libraries
PIL_LOG = "PIL.TiffImagePlugin"
SYSTEM = ("libtiff.so.6", "libtiff.so.5")  # the names for Pillow of a Linux distribution


class Reports(threading.local):
    """How many errors libtiff has reported to a thread, which it does while that thread decodes."""

    errors = 0


reports = Reports()


def _count(_module: bytes, _text: bytes, _arguments: int) -> None:
    reports.errors += 1


_handler = ctypes.CFUNCTYPE(None, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_void_p)(_count)  # libtiff has its address


@cache
def listen() -> None:
    """Let libtiff count errors in `reports` and leave out warnings, if this process has loaded it.

    Pillow's own reader of TIFFs logs some errors before it raises them; they are left out too.
    """
    logging.getLogger(PIL_LOG).setLevel(logging.CRITICAL)
    wheel = (Path(PIL.__file__).parents[1] / WHEEL).glob("libtiff*.so*")
    for name in (*sorted(path.name for path in wheel), *SYSTEM):
        with contextlib.suppress(OSError):  # it isn't loaded by this name
            library = ctypes.CDLL(name, os.RTLD_NOW | os.RTLD_NOLOAD)
            for setter, handler in ((library.TIFFSetErrorHandler, _handler), (library.TIFFSetWarningHandler, None)):
                setter.argtypes, setter.restype = (ctypes.c_void_p,), ctypes.c_void_p
                setter(None if handler is None else ctypes.cast(handler, ctypes.c_void_p))
