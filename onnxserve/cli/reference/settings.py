"""Entries of the settings that say where a server keeps its files and listens."""

from __future__ import annotations

from collections.abc import Iterator

from onnxserve.torchserve.settings import FORMER, PREFIX, Settings

from .entry import Entry
from .fields import entries

FOUND = {"config", "gateway_file"}  # their defaults depend on the folder that a command runs in
VARIABLE_ONLY = {"plain", "gateway_host"}


def setting_entries() -> Iterator[Entry]:
    """Yield an entry for each setting, with its environment variable and its option."""
    for entry in entries(Settings):
        option = "" if entry.name in VARIABLE_ONLY else f"--{entry.name.replace('_', '-')}"
        default = "see meaning" if entry.name in FOUND else entry.default
        yield entry._replace(where=option, default=default, variable=PREFIX + entry.name.upper())


def former_variables() -> Iterator[Entry]:
    """Yield an entry for each former name of a variable."""
    for former, name in FORMER.items():
        meaning = f"Former name of `{PREFIX}{name.upper()}`, for one version more."
        yield Entry("all commands", PREFIX + former, "text", "", "none", meaning)
