"""`onnxserve keys`: who may ask the gateway, and how much."""

from __future__ import annotations

import enum
import os
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.table import Table

from onnxserve.config import resolve_settings
from onnxserve.errors import EdgeError
from onnxserve.gateway import read_config
from onnxserve.gateway.keys import ALL, Key, add, digest, read_keys, revoke

from .app import AsJson, app, console, out, show
from .server import TrafficFile

commands = typer.Typer(help="Keys of clients; changes take effect within a second.", no_args_is_help=True)
app.add_typer(commands, name="keys")


class Rank(enum.StrEnum):
    """Priorities of requests."""

    BATCH = "batch"
    NORMAL = "normal"
    URGENT = "urgent"


Client = Annotated[str, typer.Argument(help="Who gets the key.")]


def file_of(traffic: Path | None) -> Path:
    """The file that traffic.toml names."""
    return Path(read_config(resolve_settings(os.environ, {"traffic": traffic}).traffic).auth.keys)


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
    traffic: TrafficFile = None,
) -> None:
    """Make a key and show it once. Example: onnxserve keys add shop --model sentiment --per-day 10000."""
    key = Key(client, tuple(model or (ALL,)), per_second, per_day, digits, top, priority.value)
    out.print(add(file_of(traffic), key), markup=False)
    console.print("this is shown once; only its digest is kept. Clients send it as x-api-key")


@commands.command("list")
def list_keys(traffic: TrafficFile = None, *, as_json: AsJson = False) -> None:
    """Clients and what they may do; never the keys. Example: onnxserve keys list."""
    keys = read_keys(file_of(traffic))

    def human() -> None:
        table = Table("client", "digest", "models", "per second", "per day", "digits", "top", "priority")
        for kept, key in sorted(keys.items(), key=lambda pair: pair[1].client):
            limits = [key.per_second, key.per_day, key.digits, key.top]
            shown = ["" if one is None else f"{one:g}" for one in limits]
            table.add_row(key.client, kept[:12], ", ".join(key.models), *shown, key.priority)
        out.print(table)

    show(msgspec.to_builtins(keys), human, as_json=as_json)


@commands.command()
def rotate(client: Client, traffic: TrafficFile = None, *, keep_old: bool = False) -> None:
    """A new key with the same rights; the old ones end unless --keep-old. Example: onnxserve keys rotate shop."""
    path = file_of(traffic)
    old = [key for key in read_keys(path).values() if key.client == client]
    if not old:
        raise EdgeError(f"no key of {client}", where=str(path), fix=f"make one: onnxserve keys add {client}")
    secret = add(path, old[-1])
    if not keep_old:
        revoke(path, client, digest(secret))
    out.print(secret, markup=False)


@commands.command("revoke")
def end(client: Client, traffic: TrafficFile = None) -> None:
    """End every key of a client. Example: onnxserve keys revoke shop."""
    out.print(f"{revoke(file_of(traffic), client)} keys of {client} are no longer valid", markup=False)
