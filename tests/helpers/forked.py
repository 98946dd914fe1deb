"""A copy of the program, as `os.fork` makes it, that closes what it got from the program."""

from __future__ import annotations

import os
from typing import Protocol


class Closable(Protocol):
    """What can be closed, such as a server."""

    def close(self) -> None:
        """Close it."""


def close_in_a_copy(target: Closable) -> None:
    """Let a copy of this process close its copy of the target, and wait until the copy has ended."""
    child = os.fork()
    if child == 0:
        try:
            target.close()
        finally:
            os._exit(0)
    os.waitpid(child, 0)
