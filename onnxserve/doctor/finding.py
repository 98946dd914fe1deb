"""The result of one check, and what the program can repair by itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Repair:
    """A repair that needs no decision of the user; `what` says what `apply` does, such as `make the folder x`."""

    what: str
    apply: Callable[[], object]


@dataclass(frozen=True)
class Finding:
    """The result of one check; `fix` is empty when nothing needs a fix. A repair may also improve what works."""

    check: str
    result: str
    fix: str = ""
    repair: Repair | None = None
