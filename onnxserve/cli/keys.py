"""`onnxserve keys`: who may ask the gateway, and how much."""

from __future__ import annotations

import datetime as dt
import enum
import os
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich import box
from rich.table import Table

from onnxserve.errors import GatewayError
from onnxserve.gateway import read_config
from onnxserve.gateway.keys import ALL, ID, Key, add, expiry, now, period, read_keys, revoke
from onnxserve.gateway.keys import rotate as rotate_key
from onnxserve.monitoring.key_use import KEY_USE, key_uses
from onnxserve.torchserve import Settings, resolve_settings

from .app import AsJson, app, console, out, show
from .server import GatewayFile, State

commands = typer.Typer(help="Keys of clients; changes take effect within a second.", no_args_is_help=True)
app.add_typer(commands, name="keys")


class Rank(enum.StrEnum):
    """Priorities of requests."""

    BATCH = "batch"
    NORMAL = "normal"
    URGENT = "urgent"


Client = Annotated[str, typer.Argument(help="Who gets the key.")]
Expires = Annotated[str, typer.Option(help="When it ends: 12h, 90d, 8w, a date or a time.")]


def file_of(gateway_file: Path | None) -> Path:
    """The file that gateway.toml names."""
    return file_in(resolve_settings(os.environ, {"gateway_file": gateway_file}))


def file_in(settings: Settings) -> Path:
    """The same by settings."""
    return Path(read_config(settings.gateway_file).auth.keys)


@commands.command("add")
def make(  # noqa: PLR0913 - each is a flag
    client: Client,
    model: Annotated[
        list[str] | None, typer.Option(help="A model it may ask, again for more; all if left out.")
    ] = None,
    per_second: Annotated[float | None, typer.Option(min=0, help="Requests a second.")] = None,
    per_day: Annotated[int | None, typer.Option(min=0, help="Requests a day, UTC.")] = None,
    digits: Annotated[int | None, typer.Option(min=0, max=9, help="Decimals of scores.")] = None,
    top: Annotated[int | None, typer.Option(min=0, help="Labels of an answer.")] = None,
    priority: Annotated[
        Rank, typer.Option(help="Which waiting requests go first: urgent before normal; batch fills the gaps.")
    ] = Rank.NORMAL,
    expires: Expires = "",
    gateway_file: GatewayFile = None,
) -> None:
    """Make a key and show it once. Example: onnxserve keys add shop --model sentiment --expires 90d."""
    made = now()
    ends = expiry(expires, made) if expires else None
    key = Key(client, tuple(model or (ALL,)), per_second, per_day, digits, top, priority.value, made, ends)
    out.print(add(file_of(gateway_file), key), markup=False)
    console.print("this is shown once; only its digest is kept. Clients send it as x-api-key")


@commands.command("list")
def list_keys(gateway_file: GatewayFile = None, state: State = None, *, as_json: AsJson = False) -> None:
    """Clients, what they may do, and when each key was used; never the keys. Example: onnxserve keys list."""
    settings = resolve_settings(os.environ, {"gateway_file": gateway_file, "state": state})
    keys, uses = read_keys(file_in(settings)), key_uses(settings.state / KEY_USE)
    used = {kept: dt.datetime.fromtimestamp(uses[kept[:ID]], dt.UTC) for kept in keys if kept[:ID] in uses}
    listed = {kept: {**msgspec.to_builtins(key), "last_used": used.get(kept)} for kept, key in keys.items()}
    show(listed, lambda: out.print(key_table(keys, used)), as_json=as_json)


def key_table(keys: dict[str, Key], used: dict[str, dt.datetime]) -> Table:
    """A row a key, by client; times are UTC, to the minute."""
    table = Table("client", "may", box=box.SIMPLE_HEAD)
    for name in ("key", "created", "expires", "last used"):
        table.add_column(name, no_wrap=True)
    for kept, key in sorted(keys.items(), key=lambda pair: (pair[1].client, minute(pair[1].created))):
        ends = "expired" if key.expired(now()) else minute(key.expires)
        made = f"{key.created:%Y-%m-%d}" if key.created else ""
        table.add_row(key.client, rights(key), kept[:ID], made, ends, minute(used.get(kept)))
    return table


def rights(key: Key) -> str:
    """What a key may do, as far as it says so itself."""
    limits = {"{:g}/s": key.per_second, "{}/day": key.per_day, "{} digits": key.digits, "top {}": key.top}
    shown = [form.format(limit) for form, limit in limits.items() if limit is not None]
    models = "all" if ALL in key.models else ", ".join(key.models)
    return ", ".join([models, *shown, *([key.priority] if key.priority != "normal" else [])])


def minute(time: dt.datetime | None) -> str:
    """A time for a person; empty where there is none."""
    return f"{time.astimezone(dt.UTC):%Y-%m-%d %H:%M}" if time else ""


@commands.command()
def rotate(
    client: Client,
    overlap: Annotated[
        str, typer.Option(help="How long the old keys stay valid: 12h, 7d; they end at once without.")
    ] = "",
    expires: Expires = "",
    gateway_file: GatewayFile = None,
    *,
    keep_old: Annotated[bool, typer.Option("--keep-old", help="Leave the old keys as they are.")] = False,
) -> None:
    """Make a new key with the same rights and lifetime. Example: onnxserve keys rotate shop --overlap 7d."""
    if overlap and keep_old:
        raise GatewayError("--overlap ends the old keys, --keep-old doesn't", fix="name one of them")
    stay = None if keep_old else period(overlap) if overlap else dt.timedelta()
    ends = expiry(expires, now()) if expires else None
    out.print(rotate_key(file_of(gateway_file), client, stay, ends), markup=False)


@commands.command("revoke")
def end(client: Client, gateway_file: GatewayFile = None) -> None:
    """End every key of a client. Example: onnxserve keys revoke shop."""
    out.print(f"{revoke(file_of(gateway_file), client)} keys of {client} are no longer valid", markup=False)
