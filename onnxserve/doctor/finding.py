"""The result of one check."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """The result of one check; `fix` is empty when nothing needs a fix."""

    check: str
    result: str
    fix: str = ""
