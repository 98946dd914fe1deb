"""API keys: made here, kept as digests, read by nginx again within a second of a change."""

from __future__ import annotations

import hashlib
import re
import secrets
from pathlib import Path
from typing import Literal

import msgspec

from onnxserve.errors import EdgeError

from .files import locked, read_json, write_json

PREFIX = "osk_"  # so that scanners recognise a leaked one
BYTES = 32  # random, so that a plain digest can't be guessed back
ALL = "*"
NAME = re.compile(r"[ -~]{1,128}")  # it goes on to the model server in a header
Priority = Literal["batch", "normal", "urgent"]  # in which order waiting requests are taken


class Key(msgspec.Struct, frozen=True):
    """What one client may do; None leaves it to `[guard]` of traffic.toml, 0 is no limit."""

    client: str
    models: tuple[str, ...] = (ALL,)
    per_second: float | None = None
    per_day: int | None = None
    digits: int | None = None
    top: int | None = None
    priority: Priority = "normal"


Keys = dict[str, Key]  # by the SHA-256 of the key


def read_keys(path: Path) -> Keys:
    """All keys by digest; none where there is no file. EdgeError when it is damaged."""
    return read_json(path, Keys, fix="restore the file from a copy") or {}


def digest(secret: str) -> str:
    """What is kept of a key."""
    return hashlib.sha256(secret.encode()).hexdigest()


def add(path: Path, key: Key) -> str:
    """Make a key for a client; the secret, which can't be had again. EdgeError for a name that no header can carry."""
    if not NAME.fullmatch(key.client):
        raise EdgeError(f"a client's name is 1 to 128 printable ASCII characters, got {key.client!r}", where=str(path))
    secret = PREFIX + secrets.token_urlsafe(BYTES)
    with locked(path):
        write_json(path, {**read_keys(path), digest(secret): key})
    return secret


def revoke(path: Path, client: str, kept: str = "") -> int:
    """Remove every key of a client but one; how many are gone. EdgeError when it has none."""
    with locked(path):
        keys = read_keys(path)
        left = {one: key for one, key in keys.items() if key.client != client or one == kept}
        if len(left) == len(keys):
            known = ", ".join(sorted({key.client for key in keys.values()})) or "none"
            raise EdgeError(f"no key of {client}", where=str(path), fix=f"clients with keys: {known}")
        write_json(path, left)
    return len(keys) - len(left)
