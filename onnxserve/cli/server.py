"""Options that name the server, shared by the commands that talk to one."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from onnxserve.torchserve import Settings, resolve_settings

Config = Annotated[
    Path | None, typer.Option(help="TorchServe's config.properties; default: the one of the installation.")
]
Store = Annotated[Path | None, typer.Option(help="The model store, a folder; default: model_store.")]
State = Annotated[Path | None, typer.Option(help="The folder of logs and release history; default: .onnxserve.")]
GatewayFile = Annotated[
    Path | None, typer.Option("--gateway-file", help="The gateway's configuration file; default: gateway.toml.")
]
GatewayPort = Annotated[
    int | None, typer.Option("--gateway-port", help="TCP port of the gateway; default: gateway.toml's.")
]
InferencePort = Annotated[
    int | None, typer.Option(help="TCP port of TorchServe's inference API; default: a unix socket.")
]
ManagementPort = Annotated[
    int | None, typer.Option(help="TCP port of TorchServe's management API; default: a unix socket.")
]
MetricsPort = Annotated[int | None, typer.Option(help="TCP port of TorchServe's metrics API; default: a unix socket.")]
Url = Annotated[str, typer.Option(help="URL of the server; default: the gateway of gateway.toml.")]
Key = Annotated[str, typer.Option(envvar="ONNXSERVE_KEY", help="The API key, for a gateway that demands one.")]
Token = Annotated[
    str, typer.Option(envvar="ONNXSERVE_TOKEN", help="A token (JWT), for a gateway that demands one of its issuer.")
]
Ca = Annotated[str, typer.Option(help="The CA certificate (PEM) of the server; default: the public ones.")]


def settings_from(**flags: object) -> Settings:
    """Return the settings from file, environment (ONNXSERVE_…) and the flags that were given."""
    return resolve_settings(os.environ, flags)
