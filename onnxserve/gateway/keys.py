"""API keys: created here with an expiry, stored as digests; nginx reads the file again when it changes."""

from __future__ import annotations

import datetime as dt
import hashlib
import re
import secrets
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from onnxserve.errors import GatewayError
from onnxserve.file_lock import lock_file

from .files import read_json, write_json

PREFIX = "osk_"  # so that scanners recognise a leaked key
BYTES = 32  # random, so that a plain digest can't be guessed back
ALL = "*"
NAME = re.compile(r"[ -~]{1,128}")  # a header passes it to the model server
ID = 12  # digits of the digest that name a key in logs and lists
Time = Annotated[dt.datetime, msgspec.Meta(tz=True)]
Priority = Literal["batch", "normal", "urgent"]  # in which order waiting requests are taken
Scope = Literal["predict", "operate"]
PREDICT: Scope = "predict"  # ask models
OPERATE: Scope = "operate"  # move roles from the console
PERIOD = re.compile(r"([0-9]{1,6})([mhdw])")
UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
FIX = "write 30m, 12h, 90d, 8w, a date such as 2027-01-31 (its beginning, UTC), or a time such as 2027-01-31T12:00:00Z"
LATEST = dt.datetime.max.replace(microsecond=0, tzinfo=dt.UTC)


class Key(msgspec.Struct, frozen=True):
    """The rights of one client; None means the value under `[guard]` in gateway.toml, 0 means no limit.

    A key of an older file has no `created`, and its scope is `predict`. A key without `expires` is valid until it is
    revoked.
    """

    client: str
    models: tuple[str, ...] = (ALL,)
    per_second: float | None = None
    per_day: int | None = None
    digits: int | None = None
    top: int | None = None
    priority: Priority = "normal"
    created: Time | None = None
    expires: Time | None = None
    scopes: tuple[Scope, ...] = (PREDICT,)

    def may_use(self, model: str) -> bool:
        """Return whether the key holds for a model."""
        return ALL in self.models or model in self.models

    def has_expired(self, moment: dt.datetime) -> bool:
        """Return whether the key has expired at this moment."""
        return self.expires is not None and self.expires <= moment


Keys = dict[str, Key]  # by the SHA-256 of the key


def read_keys(path: Path) -> Keys:
    """Return all keys by digest; none if there is no file. GatewayError when the file is damaged."""
    return read_json(path, Keys, fix="restore the file from a copy") or {}


def digest(secret: str) -> str:
    """Return the digest that is stored for a key."""
    return hashlib.sha256(secret.encode()).hexdigest()


def add(path: Path, key: Key) -> str:
    """Create a key for a client; return the secret, which isn't stored. GatewayError for a name unfit for a header."""
    if not NAME.fullmatch(key.client):
        raise GatewayError(
            f"a client's name is 1 to 128 printable ASCII characters, got {key.client!r}", where=str(path)
        )
    secret = PREFIX + secrets.token_urlsafe(BYTES)
    dated = msgspec.structs.replace(key, created=key.created or now())
    with lock_file(path):
        write_json(path, {**read_keys(path), digest(secret): dated})
    return secret


def rotate(path: Path, client: str, overlap: dt.timedelta | None, expires: dt.datetime | None = None) -> str:
    """Create a key with the rights of the client's newest key and return the secret.

    The client's other keys expire after `overlap`; with None they stay valid. Without `expires` the new key gets the
    lifetime of the newest one. GatewayError when the client has no key.
    """
    secret, moment = PREFIX + secrets.token_urlsafe(BYTES), now()
    with lock_file(path):
        keys = read_keys(path)
        newest = max(keys_of(path, keys, client), key=lambda key: key.created.timestamp() if key.created else 0.0)
        if expires is None and newest.expires and newest.created:
            expires = later(moment, newest.expires - newest.created)
        left = {kept: key if key.client != client else expire_after(key, moment, overlap) for kept, key in keys.items()}
        fresh = msgspec.structs.replace(newest, created=moment, expires=expires)
        valid = {kept: key for kept, key in left.items() if not (key.client == client and key.has_expired(moment))}
        write_json(path, {**valid, digest(secret): fresh})
    return secret


def expire_after(key: Key, moment: dt.datetime, overlap: dt.timedelta | None) -> Key:
    """Return the key with its expiry brought forward to the end of the overlap."""
    if overlap is None:
        return key
    end = later(moment, overlap)
    return msgspec.structs.replace(key, expires=min(end, key.expires) if key.expires else end)


def keys_of(path: Path, keys: Keys, client: str) -> list[Key]:
    """Return a client's keys; GatewayError when it has none."""
    own = [key for key in keys.values() if key.client == client]
    if not own:
        known = ", ".join(sorted({key.client for key in keys.values()})) or "none"
        raise GatewayError(f"{client} has no key", where=str(path), fix=f"clients with keys: {known}")
    return own


def revoke(path: Path, client: str) -> int:
    """Remove every key of a client and return how many there were. GatewayError when it has none."""
    with lock_file(path):
        keys = read_keys(path)
        removed = keys_of(path, keys, client)
        write_json(path, {kept: key for kept, key in keys.items() if key.client != client})
    return len(removed)


def now() -> dt.datetime:
    """Return the time in UTC, to the second."""
    return dt.datetime.now(dt.UTC).replace(microsecond=0)


def expiry(text: str, begin: dt.datetime) -> dt.datetime:
    """Parse a period from `begin` on, a date, or a time; GatewayError for anything else and for a time in the past."""
    try:
        ends = begin + period(text) if PERIOD.fullmatch(text) else in_utc(dt.datetime.fromisoformat(text))
    except (ValueError, OverflowError) as error:
        raise GatewayError(f"{text!r} is not a time", where="--expires", fix=FIX) from error
    if ends <= begin:
        raise GatewayError(f"{text!r} is in the past", where="--expires", fix=FIX)
    return ends


def in_utc(time: dt.datetime) -> dt.datetime:
    """Return a time in UTC to the second; a time without a zone is UTC. OverflowError outside the calendar."""
    return (time if time.tzinfo else time.replace(tzinfo=dt.UTC)).astimezone(dt.UTC).replace(microsecond=0)


def later(begin: dt.datetime, length: dt.timedelta) -> dt.datetime:
    """Return the time `length` after `begin`, at most the last second of the calendar."""
    return begin + min(length, LATEST - begin)


def period(text: str) -> dt.timedelta:
    """Parse a period such as `12h`; GatewayError for anything else."""
    match = PERIOD.fullmatch(text)
    if match is None:
        raise GatewayError(f"{text!r} is not a period", fix="write 30m, 12h, 90d or 8w")
    return dt.timedelta(**{UNITS[match[2]]: int(match[1])})
