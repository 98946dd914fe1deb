"""libtiff, by which Pillow decodes compressed TIFFs: it writes to standard error what is wrong with a client's file.

Pillow raises an exception for pixels that it doesn't get, and the client reads that. So the lines would only fill the
server's log, as often as a client likes. https://libtiff.gitlab.io/libtiff/functions/TIFFError.html
"""

from __future__ import annotations

import contextlib
import ctypes
import os
from functools import cache
from pathlib import Path

import PIL

WHEEL = "pillow.libs"  # where a wheel of Pillow has its libraries
SYSTEM = ("libtiff.so.6", "libtiff.so.5")  # the names for Pillow of a Linux distribution


@cache
def silence() -> None:
    """Take the handlers of errors and of warnings from libtiff, if this process has loaded it."""
    wheel = sorted((Path(PIL.__file__).parents[1] / WHEEL).glob("libtiff*.so*"))
    for name in (*map(str, wheel), *SYSTEM):
        with contextlib.suppress(OSError):  # it isn't loaded by this name
            library = ctypes.CDLL(name, os.RTLD_NOW | os.RTLD_NOLOAD)
            for setter in (library.TIFFSetErrorHandler, library.TIFFSetWarningHandler):
                setter.argtypes, setter.restype = (ctypes.c_void_p,), ctypes.c_void_p
                setter(None)
