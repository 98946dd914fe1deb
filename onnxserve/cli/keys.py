"""`onnxserve keys`: which clients may use the gateway, and how much."""

from __future__ import annotations

import datetime as dt
import enum
import os
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from onnxserve.errors import GatewayError
from onnxserve.gateway import read_config
from onnxserve.gateway.keys import ALL, ID, PREDICT, Key, add, expiry, now, period, read_keys, revoke
from onnxserve.gateway.keys import Scope as KeyScope
from onnxserve.gateway.keys import rotate as rotate_key
from onnxserve.monitoring.key_use import KEY_USE, key_uses
from onnxserve.torchserve import Settings, resolve_settings

from .console import AsJson, console, show, show_lines
from .groups import keys as commands
from .server import GatewayFile, State
from .table import print_table

HEADINGS = ("client", "may", "key", "created", "expires", "last used")


class Rank(enum.StrEnum):
    """Priorities of requests."""

    BATCH = "batch"
    NORMAL = "normal"
    URGENT = "urgent"


class Scope(enum.StrEnum):
    """What a key may be used for."""

    PREDICT = "predict"
    OPERATE = "operate"


Client = Annotated[str, typer.Argument(help="The client's name, as it is logged and limited.")]
Expires = Annotated[
    str, typer.Option(help="When the key expires: a period (12h, 90d, 8w), a date or a time; default: never.")
]


def file_of(gateway_file: Path | None) -> Path:
    """Return the file of keys that gateway.toml names."""
    return file_in(resolve_settings(os.environ, {"gateway_file": gateway_file}))


def file_in(settings: Settings) -> Path:
    """Return the file of keys by settings."""
    return Path(read_config(settings.gateway_file).auth.keys)


@commands.command("add")
def make(  # noqa: PLR0913 - each is a flag
    client: Client,
    model: Annotated[
        list[str] | None, typer.Option(help="A model that the client may use; repeat it for more. Default: all.")
    ] = None,
    per_second: Annotated[
        float | None,
        typer.Option(min=0, help="Most requests per second, 0 for no limit; default: gateway.toml's guard."),
    ] = None,
    per_day: Annotated[
        int | None,
        typer.Option(min=0, help="Most requests per day (UTC), 0 for no limit; default: gateway.toml's guard."),
    ] = None,
    digits: Annotated[
        int | None, typer.Option(min=0, max=9, help="Decimals of each score, 0 for all; default: gateway.toml's guard.")
    ] = None,
    top: Annotated[
        int | None, typer.Option(min=0, help="Most labels in an answer, 0 for all; default: gateway.toml's guard.")
    ] = None,
    priority: Annotated[
        Rank, typer.Option(help="Order among waiting requests: urgent before normal; batch fills the gaps.")
    ] = Rank.NORMAL,
    scope: Annotated[
        list[Scope] | None,
        typer.Option(
            help="What the key is for: predict asks models, operate moves roles from the console; repeat it for both."
            " Default: predict."
        ),
    ] = None,
    expires: Expires = "",
    gateway_file: GatewayFile = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Make a key and show it once.

    Example: onnxserve keys add shop --model sentiment --expires 90d
    """
    scopes: tuple[KeyScope, ...] = tuple(each.value for each in Scope if each in (scope or [Scope.PREDICT]))
    created = now()
    ends = expiry(expires, created) if expires else None
    key = Key(client, tuple(model or (ALL,)), per_second, per_day, digits, top, priority.value, created, ends, scopes)
    show_key(add(file_of(gateway_file), key), client, as_json=as_json)
    console.print("The key is shown once; only its digest is kept. Clients send it as x-api-key.")


def show_key(secret: str, client: str, *, as_json: bool) -> None:
    """Print a new key."""
    show_lines({"client": client, "key": secret}, secret, as_json=as_json)


@commands.command("list")
def list_keys(gateway_file: GatewayFile = None, state: State = None, *, as_json: AsJson = False) -> None:
    """List clients, what they may do, and when each key was last used; never the keys themselves.

    Example: onnxserve keys list
    """
    settings = resolve_settings(os.environ, {"gateway_file": gateway_file, "state": state})
    keys, uses = read_keys(file_in(settings)), key_uses(settings.state / KEY_USE)
    used = {kept: dt.datetime.fromtimestamp(uses[kept[:ID]], dt.UTC) for kept in keys if kept[:ID] in uses}
    listed = {kept: {**msgspec.to_builtins(key), "last_used": used.get(kept)} for kept, key in keys.items()}
    show(listed, lambda: print_table(HEADINGS, key_rows(keys, used)), as_json=as_json)


def key_rows(keys: dict[str, Key], used: dict[str, dt.datetime]) -> list[tuple[str, ...]]:
    """Return a row of HEADINGS for each key, by client; times are UTC, to the minute."""
    rows: list[tuple[str, ...]] = []
    for kept, key in sorted(keys.items(), key=lambda pair: (pair[1].client, minute(pair[1].created))):
        ends = "expired" if key.has_expired(now()) else minute(key.expires)
        created = f"{key.created:%Y-%m-%d}" if key.created else ""
        rows.append((key.client, rights(key), kept[:ID], created, ends, minute(used.get(kept))))
    return rows


def rights(key: Key) -> str:
    """List the models and limits of a key; limits of gateway.toml are left out."""
    limits = {"{:g}/s": key.per_second, "{}/day": key.per_day, "{} digits": key.digits, "top {}": key.top}
    shown = [form.format(limit) for form, limit in limits.items() if limit is not None]
    models = "all" if ALL in key.models else ", ".join(key.models)
    scopes = [] if key.scopes == (PREDICT,) else [" and ".join(key.scopes)]
    return ", ".join([models, *scopes, *shown, *([key.priority] if key.priority != "normal" else [])])


def minute(time: dt.datetime | None) -> str:
    """Format a time in UTC to the minute; empty for no time."""
    return f"{time.astimezone(dt.UTC):%Y-%m-%d %H:%M}" if time else ""


@commands.command()
def rotate(
    client: Client,
    overlap: Annotated[
        str, typer.Option(help="How long the old keys stay valid, such as 12h or 7d; default: they end at once.")
    ] = "",
    expires: Expires = "",
    gateway_file: GatewayFile = None,
    *,
    keep_old: Annotated[bool, typer.Option("--keep-old", help="Leave the old keys valid until they expire.")] = False,
    as_json: AsJson = False,
) -> None:
    """Make a new key with the rights and the lifetime of the old one.

    Example: onnxserve keys rotate shop --overlap 7d
    """
    if overlap and keep_old:
        raise GatewayError("--overlap ends the old keys, --keep-old doesn't", fix="give only one of the two")
    stay = None if keep_old else period(overlap) if overlap else dt.timedelta()
    ends = expiry(expires, now()) if expires else None
    show_key(rotate_key(file_of(gateway_file), client, stay, ends), client, as_json=as_json)


@commands.command("revoke")
def end(client: Client, gateway_file: GatewayFile = None, *, as_json: AsJson = False) -> None:
    """Revoke every key of a client.

    Example: onnxserve keys revoke shop
    """
    count = revoke(file_of(gateway_file), client)
    show_lines({"revoked": count}, f"{count} keys of {client} are no longer valid", as_json=as_json)
