"""What one export may do beyond its definition."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class ExportOptions:
    """The user's options for one export.

    `unproven` allows an archive that no certificate and no parity stands behind; `draft` makes the fp32 graph alone, as
    quickly as possible; `replace` lets other content take the place of a version that exists. `server_stores` are
    folders where servers keep the archives that they loaded. `search_minutes` replaces the definition's. `offline`
    refuses the network, and names what is not on this machine. `trust` reads pickles, which run whatever code they
    name. `all_variants` lets every variant compete, whatever the definition names. `development_version` takes the
    place of the definition's version, in an archive that is unproven whatever the rows show.
    """

    unproven: bool = False
    draft: bool = False
    replace: bool = False
    server_stores: tuple[Path, ...] = ()
    search_minutes: float | None = None
    offline: bool = False
    trust: bool = False
    all_variants: bool = False
    development_version: str = ""


DEFAULTS = ExportOptions()
