"""Functions of the C library that Python's own modules lack."""

from __future__ import annotations

import ctypes
import os
from typing import Any

NO_NEW_PRIVS = 38  # linux/prctl.h


def call(name: str, *arguments: Any) -> None:
    """Call a function with integers or pointers; raises OSError with its errno."""
    libc = ctypes.CDLL(None, use_errno=True)
    values = [ctypes.c_ulong(argument) if isinstance(argument, int) else argument for argument in arguments]
    if getattr(libc, name)(*values) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def no_new_privileges() -> None:
    """Keep every program that this process starts from getting more rights than the process has."""
    call("prctl", NO_NEW_PRIVS, 1, 0, 0, 0)
