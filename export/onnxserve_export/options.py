"""What one export may do beyond its definition."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ExportOptions:
    """The choices of whoever runs the export.

    `search_minutes` replaces the definition's. `offline` refuses the network, and names what is not on this machine.
    """

    search_minutes: float | None = None
    offline: bool = False


DEFAULTS = ExportOptions()
