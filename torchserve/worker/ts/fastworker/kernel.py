"""Functions of the C library that Python has no name for."""

from __future__ import annotations

import ctypes
import os
from typing import Any

NO_NEW_PRIVS = 38  # linux/prctl.h


def call(name: str, *arguments: Any) -> None:
    """Call one with integers or pointers; OSError with its errno."""
    libc = ctypes.CDLL(None, use_errno=True)
    words = [ctypes.c_ulong(argument) if isinstance(argument, int) else argument for argument in arguments]
    if getattr(libc, name)(*words) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def no_new_privileges() -> None:
    """From now on no program that this process starts gets more rights than it has."""
    call("prctl", NO_NEW_PRIVS, 1, 0, 0, 0)
