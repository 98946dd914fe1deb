"""API keys: made here, with the time when they end, kept as digests, read by nginx again when the file changes."""

from __future__ import annotations

import datetime as dt
import hashlib
import re
import secrets
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from onnxserve.errors import GatewayError

from .files import locked, read_json, write_json

PREFIX = "osk_"  # so that scanners recognise a leaked one
BYTES = 32  # random, so that a plain digest can't be guessed back
ALL = "*"
NAME = re.compile(r"[ -~]{1,128}")  # it goes on to the model server in a header
ID = 12  # digits of the digest that name a key in logs and lists
Time = Annotated[dt.datetime, msgspec.Meta(tz=True)]
Priority = Literal["batch", "normal", "urgent"]  # in which order waiting requests are taken
PERIOD = re.compile(r"([0-9]{1,6})([mhdw])")
UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
FIX = "write 30m, 12h, 90d, 8w, a date such as 2027-01-31 (its beginning, UTC), or a time such as 2027-01-31T12:00:00Z"
LATEST = dt.datetime.max.replace(microsecond=0, tzinfo=dt.UTC)


class Key(msgspec.Struct, frozen=True):
    """What one client may do; None leaves it to `[guard]` of gateway.toml, 0 is no limit.

    A key of an older file has no date; one without `expires` ends when it is revoked.
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

    def expired(self, moment: dt.datetime) -> bool:
        """Whether it opens nothing any more."""
        return self.expires is not None and self.expires <= moment


Keys = dict[str, Key]  # by the SHA-256 of the key


def read_keys(path: Path) -> Keys:
    """All keys by digest; none where there is no file. GatewayError when it is damaged."""
    return read_json(path, Keys, fix="restore the file from a copy") or {}


def digest(secret: str) -> str:
    """What is kept of a key."""
    return hashlib.sha256(secret.encode()).hexdigest()


def add(path: Path, key: Key) -> str:
    """Make a key for a client; the secret, which can't be had again. GatewayError for a name that no header carries."""
    if not NAME.fullmatch(key.client):
        raise GatewayError(
            f"a client's name is 1 to 128 printable ASCII characters, got {key.client!r}", where=str(path)
        )
    secret = PREFIX + secrets.token_urlsafe(BYTES)
    dated = msgspec.structs.replace(key, created=key.created or now())
    with locked(path):
        write_json(path, {**read_keys(path), digest(secret): dated})
    return secret


def rotate(path: Path, client: str, overlap: dt.timedelta | None, expires: dt.datetime | None = None) -> str:
    """Make a key with the rights of the client's newest one; the others end after `overlap`, or stay where it is None.

    Without `expires` it lives as long as that one was made for. The secret. GatewayError when the client has no key.
    """
    secret, moment = PREFIX + secrets.token_urlsafe(BYTES), now()
    with locked(path):
        keys = read_keys(path)
        newest = max(of_client(path, keys, client), key=lambda key: key.created.timestamp() if key.created else 0.0)
        if expires is None and newest.expires and newest.created:
            expires = later(moment, newest.expires - newest.created)
        left = {kept: key if key.client != client else ended(key, moment, overlap) for kept, key in keys.items()}
        fresh = msgspec.structs.replace(newest, created=moment, expires=expires)
        valid = {kept: key for kept, key in left.items() if not (key.client == client and key.expired(moment))}
        write_json(path, {**valid, digest(secret): fresh})
    return secret


def ended(key: Key, moment: dt.datetime, overlap: dt.timedelta | None) -> Key:
    """A key that ends after a while, unless it ends before."""
    if overlap is None:
        return key
    end = later(moment, overlap)
    return msgspec.structs.replace(key, expires=min(end, key.expires) if key.expires else end)


def of_client(path: Path, keys: Keys, client: str) -> list[Key]:
    """A client's keys; GatewayError when it has none."""
    found = [key for key in keys.values() if key.client == client]
    if not found:
        known = ", ".join(sorted({key.client for key in keys.values()})) or "none"
        raise GatewayError(f"no key of {client}", where=str(path), fix=f"clients with keys: {known}")
    return found


def revoke(path: Path, client: str) -> int:
    """Remove every key of a client; how many are gone. GatewayError when it has none."""
    with locked(path):
        keys = read_keys(path)
        gone = of_client(path, keys, client)
        write_json(path, {kept: key for kept, key in keys.items() if key.client != client})
    return len(gone)


def now() -> dt.datetime:
    """The time in UTC, to the second."""
    return dt.datetime.now(dt.UTC).replace(microsecond=0)


def expiry(text: str, begin: dt.datetime) -> dt.datetime:
    """A period from `begin` on, a date, or a time; GatewayError for anything else, and for what is over."""
    try:
        ends = begin + period(text) if PERIOD.fullmatch(text) else in_utc(dt.datetime.fromisoformat(text))
    except (ValueError, OverflowError) as error:
        raise GatewayError(f"{text!r} is no time", where="--expires", fix=FIX) from error
    if ends <= begin:
        raise GatewayError(f"{text!r} is over already", where="--expires", fix=FIX)
    return ends


def in_utc(time: dt.datetime) -> dt.datetime:
    """A time to the second, UTC if it names no zone; OverflowError outside of the calendar."""
    return (time if time.tzinfo else time.replace(tzinfo=dt.UTC)).astimezone(dt.UTC).replace(microsecond=0)


def later(begin: dt.datetime, length: dt.timedelta) -> dt.datetime:
    """`length` after `begin`, at most the calendar's last second."""
    return begin + min(length, LATEST - begin)


def period(text: str) -> dt.timedelta:
    """`12h`; GatewayError for anything else."""
    found = PERIOD.fullmatch(text)
    if found is None:
        raise GatewayError(f"{text!r} is no period", fix="write 30m, 12h, 90d or 8w")
    return dt.timedelta(**{UNITS[found[2]]: int(found[1])})
