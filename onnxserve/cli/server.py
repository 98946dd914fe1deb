"""Options that name the server, shared by the commands that talk to one."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from onnxserve.gateway import RoleStore, read_config
from onnxserve.release import History, ReleaseService
from onnxserve.torchserve import Management, Settings, resolve_settings, stores_of

Config = Annotated[
    Path | None, typer.Option(help="TorchServe's config.properties; default: the one of the installation.")
]
Store = Annotated[Path | None, typer.Option(help="The model store, a folder; default: model_store.")]
State = Annotated[Path | None, typer.Option(help="The folder of logs and release history; default: .onnxserve.")]
GatewayFile = Annotated[
    Path | None,
    typer.Option("--gateway-file", "--traffic", help="The gateway's configuration file; default: gateway.toml."),
]
GatewayPort = Annotated[
    int | None,
    typer.Option("--gateway-port", "--edge-port", help="TCP port of the gateway; default: gateway.toml's."),
]
InferencePort = Annotated[
    int | None, typer.Option(help="TCP port of TorchServe's inference API; default: a unix socket.")
]
ManagementPort = Annotated[
    int | None, typer.Option(help="TCP port of TorchServe's management API; default: a unix socket.")
]
MetricsPort = Annotated[int | None, typer.Option(help="TCP port of TorchServe's metrics API; default: a unix socket.")]


def settings_from(**flags: object) -> Settings:
    """Return the settings from file, environment (ONNXSERVE_…) and the flags that were given."""
    return resolve_settings(os.environ, flags)


def release_of(settings: Settings, by: str = "") -> ReleaseService:
    """Return the release steps on the server that the settings name; the history has them as made by `by`.

    Without `by` it names the user of this process.
    """
    defaults = read_config(settings.gateway_file).default
    role_store = RoleStore(settings.state)
    return ReleaseService(
        Management(settings.management), History(settings.state, by), stores_of(settings), role_store, defaults
    )
