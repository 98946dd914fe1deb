"""`onnxserve release`: status, register, default, scale, rollback, retire."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from .app import AsJson, app, out, show
from .server import Config, ManagementPort, State, Store, release_of, settings_from

commands = typer.Typer(help="Move traffic between versions of a model.", no_args_is_help=True)
app.add_typer(commands, name="release")

Model = Annotated[str, typer.Argument(help="A model's name.")]
Version = Annotated[str, typer.Argument(help="A version.")]


@commands.command()
def status(
    model: Annotated[str | None, typer.Argument(help="One model; all if left out.")] = None,
    config: Config = None,
    management_port: ManagementPort = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Versions, default, workers and pending requests. Example: onnxserve release status segment."""
    found = release_of(settings_from(config=config, management_port=management_port)).status(model)

    def human() -> None:
        table = Table("model", "version", "default", "ready", "workers", "pending")
        table.add_column("archive", overflow="fold")
        for one in found:
            marks = ["yes" if flag else "" for flag in (one.default, one.ready)]
            table.add_row(one.model, one.version, *marks, str(one.workers), str(one.pending), one.archive)
        out.print(table)

    show([asdict(one) for one in found], human, as_json=as_json)


@commands.command()
def register(
    archive: Annotated[Path, typer.Argument(help="A .mar file.")],
    config: Config = None,
    store: Store = None,
    state: State = None,
    management_port: ManagementPort = None,
) -> None:
    """Check an archive and load it beside the others. Example: onnxserve release register segment-1.1.0.mar."""
    settings = settings_from(config=config, store=store, state=state, management_port=management_port)
    version = release_of(settings).register(archive)
    out.print(f"{archive.name} is ready as version {version}; it answers only when named")


@commands.command()
def default(
    model: Model, version: Version, config: Config = None, state: State = None, management_port: ManagementPort = None
) -> None:
    """Let a version answer requests that name none. Example: onnxserve release default segment 1.1.0."""
    previous = release_of(settings_from(config=config, state=state, management_port=management_port)).default(
        model, version
    )
    out.print(f"{model}: {version} answers (was {previous})")


@commands.command()
def rollback(model: Model, config: Config = None, state: State = None, management_port: ManagementPort = None) -> None:
    """Back to the default before this one. Example: onnxserve release rollback segment."""
    version = release_of(settings_from(config=config, state=state, management_port=management_port)).rollback(model)
    out.print(f"{model}: {version} answers again")


@commands.command()
def scale(
    model: Model,
    version: Version,
    workers: Annotated[int, typer.Argument(help="Number of workers.")],
    config: Config = None,
    state: State = None,
    management_port: ManagementPort = None,
) -> None:
    """Change the workers of a version. Example: onnxserve release scale segment 1.0.0 2."""
    release_of(settings_from(config=config, state=state, management_port=management_port)).scale(
        model, version, workers
    )
    out.print(f"{model} {version}: {workers} workers")


@commands.command()
def retire(
    model: Model,
    version: Version,
    config: Config = None,
    store: Store = None,
    state: State = None,
    management_port: ManagementPort = None,
) -> None:
    """Drain a version that is not the default, then remove it. Example: onnxserve release retire segment 1.0.0."""
    release_of(settings_from(config=config, store=store, state=state, management_port=management_port)).retire(
        model, version
    )
    out.print(f"{model} {version} is drained and removed")
