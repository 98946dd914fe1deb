"""The checks of folders and files: whether they exist, and who may change them."""

from __future__ import annotations

import os
import stat
from functools import partial
from pathlib import Path

from onnxserve.errors import GatewayError
from onnxserve.gateway import read_config
from onnxserve.torchserve import Settings

from .finding import Finding, Repair

OTHERS_WRITE = stat.S_IWOTH
NOT_OWNER_WRITES = stat.S_IWGRP | stat.S_IWOTH
NOT_OWNER = stat.S_IRWXG | stat.S_IRWXO


def folders(settings: Settings) -> Finding:
    """Check that the model store exists, and that the state folder can be written."""
    state = settings.state
    if state.exists() and not (state.is_dir() and os.access(state, os.W_OK | os.X_OK)):
        what = f"the state folder {state} is not a folder that this user can write"
        return Finding("folders", what, "choose another state folder with --state DIR")
    if settings.store.exists():
        return Finding("folders", f"the model store is {settings.store}, the state folder {state}")
    make = Repair(f"make the folder {settings.store}", partial(settings.store.mkdir, parents=True))
    return Finding(
        "folders", f"there is no model store {settings.store}", "onnxserve export models/NAME makes it", make
    )


def permissions(settings: Settings) -> Finding:
    """Check that no other user may change archives, state or keys, or open the run folder."""
    forbidden = {
        settings.run: NOT_OWNER,
        settings.state: OTHERS_WRITE,
        settings.store: OTHERS_WRITE,
        **dict.fromkeys(keys_files(settings), NOT_OWNER_WRITES),
    }
    wrong = {path: bits for path, bits in forbidden.items() if path.exists() and path.stat().st_mode & bits}
    if not wrong:
        return Finding("permissions", "only their owner can change archives, state and keys")
    names = ", ".join(f"{path} ({stat.filemode(path.stat().st_mode)})" for path in wrong)
    commands = "; ".join(f"chmod {mode_without(path, bits):o} {path}" for path, bits in wrong.items())
    close = Repair(commands, partial(close_to_others, wrong))
    return Finding("permissions", f"other users have rights that they must not have: {names}", commands, close)


def keys_files(settings: Settings) -> list[Path]:
    """Return the file of API keys, if gateway.toml names one."""
    try:
        keys = read_config(settings.gateway_file).auth.keys
    except GatewayError:
        return []  # the check of the gateway reports it
    return [Path(keys)] if keys else []


def close_to_others(wrong: dict[Path, int]) -> None:
    """Take these rights away; OSError for a file of another user."""
    for path, bits in wrong.items():
        path.chmod(mode_without(path, bits))


def mode_without(path: Path, bits: int) -> int:
    """Return the mode of a file without some of its bits."""
    return stat.S_IMODE(path.stat().st_mode) & ~bits
