"""A model and rows that a Python program holds, which take the place of those that a definition names."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .sources import SourceModel

ROWS = "memory:rows"  # the place of such rows in a definition, and in messages


@dataclass(frozen=True)
class InMemory:
    """An opened model, and pairs of input and label; None for what the definition names."""

    model: SourceModel | None = None
    rows: Iterable[Any] | None = None


NOTHING = InMemory()
