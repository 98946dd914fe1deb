"""What a check found."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """What one check found; `fix` is empty when all is well."""

    check: str
    found: str
    fix: str = ""
