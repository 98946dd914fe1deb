"""The rights that a worker gives up before it loads an archive's code.

`ONNXSERVE_CONFINE` names them, with commas between them:

- `no-network` allows only sockets with a path, like the frontend's;
- `memory=MB` limits private memory (RLIMIT_DATA), so that Python raises MemoryError before the kernel kills a process;
- `files=N` limits the number of open files.

Each of them also gives up core dumps, which would hold payloads and keys, and new privileges (PR_SET_NO_NEW_PRIVS).
"""

from __future__ import annotations

import os
import resource
import sys
from collections.abc import Mapping, Sequence
from typing import NoReturn

from .kernel import no_new_privileges
from .seccomp import filter_network

VARIABLE = "ONNXSERVE_CONFINE"
NUMBERS = {"memory": (resource.RLIMIT_DATA, 2**20), "files": (resource.RLIMIT_NOFILE, 1)}


class CannotConfine(RuntimeError):
    """A right can't be given up as configured, so the worker must not start."""


def confine(environment: Mapping[str, str] = os.environ) -> list[str]:
    """Give up the rights that the variable names, and return their names; raises CannotConfine.

    Call it before any thread starts: a filter of system calls holds for its own thread and for threads started later.
    """
    rights = [right.strip() for right in environment.get(VARIABLE, "").split(",") if right.strip()]
    if not rights:
        return []
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    no_new_privileges()
    for right in rights:
        name, _, value = right.partition("=")
        if right == "no-network":
            forbid_network()
        elif name in NUMBERS and value.isdecimal() and int(value):
            set_limit(name, int(value))
        else:
            raise CannotConfine(f"{VARIABLE} has {right!r}; it knows no-network, memory=MB and files=N")
    return rights


def run(words: Sequence[str]) -> NoReturn:
    """Start this Python anew, with arguments `words`, in this process, once it has given up the rights.

    The process ends with one line where they can't be given up.
    """
    try:
        confine()
    except CannotConfine as error:
        sys.exit(f"it isn't run: {error}")
    os.execv(sys.executable, [sys.executable, *words])  # noqa: S606 - no shell is wanted


def set_limit(name: str, value: int) -> None:
    """Limit a resource of this process and of the processes that it starts."""
    kind, unit = NUMBERS[name]
    try:
        resource.setrlimit(kind, (value * unit, value * unit))
    except (ValueError, OSError) as error:
        raise CannotConfine(f"{name}={value}: {error}") from error


def forbid_network() -> None:
    """Forbid sockets of other families than AF_UNIX."""
    try:
        filter_network()
    except OSError as error:
        raise CannotConfine(f"no-network: this machine takes no filter of system calls ({error.strerror})") from error
