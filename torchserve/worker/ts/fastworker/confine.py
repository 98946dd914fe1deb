"""What a worker gives up before it loads an archive's code, by `ONNXSERVE_CONFINE`: words parted by commas.

`no-network`: no sockets but those with a path, of which the frontend's is one. `memory=MB`: of private memory
(RLIMIT_DATA), so that Python sees a MemoryError before the kernel kills somebody. `files=N`: open at once. Core dumps,
which would hold payloads and keys, and new privileges (PR_SET_NO_NEW_PRIVS) are given up with any of them.
"""

from __future__ import annotations

import os
import resource
from collections.abc import Mapping

from .kernel import no_new_privileges
from .seccomp import leave_network

VARIABLE = "ONNXSERVE_CONFINE"
NUMBERS = {"memory": (resource.RLIMIT_DATA, 2**20), "files": (resource.RLIMIT_NOFILE, 1)}


class CannotConfine(RuntimeError):
    """What was asked for can't be had; the worker must not start without it."""


def confine(environment: Mapping[str, str] = os.environ) -> list[str]:
    """Give up what the variable says; the words. Call before any thread starts: a filter holds for one and its own."""
    words = [word.strip() for word in environment.get(VARIABLE, "").split(",") if word.strip()]
    if not words:
        return []
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    no_new_privileges()
    for word in words:
        name, _, value = word.partition("=")
        if word == "no-network":
            without_network()
        elif name in NUMBERS and value.isdecimal() and int(value):
            limit(name, int(value))
        else:
            raise CannotConfine(f"{VARIABLE} has {word!r}; it knows no-network, memory=MB and files=N")
    return words


def limit(name: str, value: int) -> None:
    """A limit of this process and what it starts."""
    kind, unit = NUMBERS[name]
    try:
        resource.setrlimit(kind, (value * unit, value * unit))
    except (ValueError, OSError) as error:
        raise CannotConfine(f"{name}={value}: {error}") from error


def without_network() -> None:
    """No sockets of other families than AF_UNIX."""
    try:
        leave_network()
    except OSError as error:
        raise CannotConfine(f"no-network: this machine takes no filter of system calls ({error.strerror})") from error
