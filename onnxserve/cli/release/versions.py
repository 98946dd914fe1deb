"""`onnxserve release register`, `scale` and `retire`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from onnxserve.archive import read_version
from onnxserve.cli.console import AsJson, console
from onnxserve.cli.groups import release as commands
from onnxserve.cli.server import Config, ManagementPort, State, Store

from .changes import Model, Plan, Version, server, show_changes


@commands.command()
def register(
    archive: Annotated[Path, typer.Argument(help="The archive, a .mar file.")],
    config: Config = None,
    store: Store = None,
    state: State = None,
    management_port: ManagementPort = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Check an archive and load it beside the other versions.

    Example: onnxserve release register segment-1.1.0.mar
    """
    release = server(config, state, management_port, store)
    with console.status("checking and loading the archive"):
        version = release.register(archive)
    name, _ = read_version(archive)
    stable = release.role_store.roles.models[name].stable == version  # the first version of a model
    role = "it answers all requests" if stable else "it answers when named, or as a canary"
    line = f"{archive.name} is ready as version {version}; {role}"
    show_changes(release, [line], as_json=as_json)


@commands.command()
def scale(  # noqa: PLR0913 - each is a flag
    model: Model,
    version: Version,
    workers: Annotated[int, typer.Argument(help="Number of workers to keep running.")],
    config: Config = None,
    state: State = None,
    management_port: ManagementPort = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Change the number of workers of a version.

    Example: onnxserve release scale segment 1.0.0 2
    """
    release = server(config, state, management_port)
    with console.status("waiting for the workers"):
        release.scale(model, version, workers)
    show_changes(release, [f"{model} {version}: {workers} workers"], as_json=as_json)


@commands.command()
def retire(  # noqa: PLR0913 - each is a flag
    model: Model,
    version: Version,
    config: Config = None,
    store: Store = None,
    state: State = None,
    management_port: ManagementPort = None,
    *,
    last: Annotated[
        bool, typer.Option("--last", help="Remove a model's only version too, and with it the model.")
    ] = False,
    plan: Plan = False,
    as_json: AsJson = False,
) -> None:
    """Drain a version that has no role, then remove it.

    Example: onnxserve release retire segment 1.0.0
    """
    release = server(config, state, management_port, store)
    changes = release.retire(model, version, last=last, plan=plan)
    show_changes(release, changes, plan=plan, as_json=as_json)
