"""What a worker gives up before it loads an archive's code, by `ONNXSERVE_CONFINE`: words parted by commas.

`no-network`: a network namespace of its own with nothing in it (unshare(2)); the frontend's socket has a path, which
needs no network. `memory=MB`: of private memory (RLIMIT_DATA), so that Python sees a MemoryError before the kernel
kills somebody. `files=N`: open at once. Core dumps, which would hold payloads and keys, and new privileges
(PR_SET_NO_NEW_PRIVS) are given up with any of them.
"""

from __future__ import annotations

import ctypes
import os
import resource
from collections.abc import Mapping

VARIABLE = "ONNXSERVE_CONFINE"
NEWUSER, NEWNET = 0x10000000, 0x40000000  # sched.h
NO_NEW_PRIVS = 38  # sys/prctl.h
NUMBERS = {"memory": (resource.RLIMIT_DATA, 2**20), "files": (resource.RLIMIT_NOFILE, 1)}


class CannotConfine(RuntimeError):
    """What was asked for can't be had; the worker must not start without it."""


def confine(environment: Mapping[str, str] = os.environ) -> list[str]:
    """Give up what the variable says; the words. Call before any thread starts: a user namespace takes only one."""
    words = [word.strip() for word in environment.get(VARIABLE, "").split(",") if word.strip()]
    if not words:
        return []
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    for word in words:
        name, _, value = word.partition("=")
        if word == "no-network":
            without_network()
        elif name in NUMBERS and value.isdecimal() and int(value):
            limit(name, int(value))
        else:
            raise CannotConfine(f"{VARIABLE} has {word!r}; it knows no-network, memory=MB and files=N")
    call("prctl", NO_NEW_PRIVS, 1, 0, 0, 0)
    return words


def limit(name: str, value: int) -> None:
    """A limit of this process and what it starts."""
    kind, unit = NUMBERS[name]
    try:
        resource.setrlimit(kind, (value * unit, value * unit))
    except (ValueError, OSError) as error:
        raise CannotConfine(f"{name}={value}: {error}") from error


def without_network() -> None:
    """Root may part with the network alone; others need a user namespace for it."""
    try:
        call("unshare", NEWNET)
    except PermissionError:
        try:
            call("unshare", NEWUSER | NEWNET)
        except OSError as error:
            raise CannotConfine(f"no-network: this machine allows no namespaces ({error.strerror})") from error


def call(name: str, *arguments: int) -> None:
    """A function of libc; OSError with its errno."""
    libc = ctypes.CDLL(None, use_errno=True)
    if getattr(libc, name)(*arguments) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
