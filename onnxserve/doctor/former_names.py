"""The check of files and variables with the names that they had before 0.2."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path

from onnxserve.gateway.roles import FILE as ROLES
from onnxserve.gateway.roles import FORMER_FILE as FORMER_ROLES
from onnxserve.processes import run_folder_is_locked
from onnxserve.torchserve import Settings
from onnxserve.torchserve.settings import FORMER, PREFIX

from .finding import Finding, Repair
from .stopped_server import no_server

NAME = "former names"
GATEWAY, FORMER_GATEWAY = "gateway.toml", "traffic.toml"


def former_names(settings: Settings) -> Finding:
    """Look for former names of files, which can be renamed, and of variables."""
    variables = {
        PREFIX + former: PREFIX + name.upper() for former, name in FORMER.items() if PREFIX + former in os.environ
    }
    if variables:
        fix = ", ".join(f"set {present} in place of {former}" for former, present in variables.items())
        return Finding(NAME, f"the environment has {', '.join(variables)}", fix)
    renames = {former: present for former, present in pairs(settings) if former.is_file()}
    if not renames:
        return Finding(NAME, "no file and no variable has one")
    names = ", ".join(map(str, renames))
    if unread := [former for former, present in renames.items() if present.is_file()]:
        return Finding(NAME, f"{names}: not read, since the file of the present name is there", f"remove {unread[0]}")
    commands = "; ".join(f"mv {former} {present}" for former, present in renames.items())
    if run_folder_is_locked(settings.run):  # it reads them by the names that it started with
        return Finding(NAME, f"found {names}", f"stop the server, then {commands}")
    return Finding(NAME, f"found {names}", commands, Repair(commands, partial(rename, settings, renames)))


def pairs(settings: Settings) -> list[tuple[Path, Path]]:
    """Return files by their former and their present path."""
    beside = settings.gateway_file.parent
    return [
        (beside / FORMER_GATEWAY, beside / GATEWAY),
        (settings.state / FORMER_ROLES, settings.state / ROLES),
    ]


def rename(settings: Settings, renames: dict[Path, Path]) -> None:
    """Give files their present names; OSError if there is one of that name, ServerError if a server has started."""
    with no_server(settings):
        for former, present in renames.items():
            # Unlike rename(2), link(2) replaces nothing, not even a file that came after the check.
            os.link(former, present, follow_symlinks=False)
            former.unlink()
