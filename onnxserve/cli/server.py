"""Options that say which server is meant, shared by the verbs that talk to one."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from onnxserve.gateway import RoleStore, read_config
from onnxserve.release import History, ReleaseService
from onnxserve.torchserve import Management, Settings, resolve_settings, stores_of

Config = Annotated[Path | None, typer.Option(help="config.properties to start from.")]
Store = Annotated[Path | None, typer.Option(help="The model store.")]
State = Annotated[Path | None, typer.Option(help="Where logs and the release history are kept.")]
GatewayFile = Annotated[
    Path | None, typer.Option("--gateway-file", "--traffic", help="gateway.toml: what the gateway does.")
]
GatewayPort = Annotated[
    int | None, typer.Option("--gateway-port", "--edge-port", help="Another port than gateway.toml's.")
]
InferencePort = Annotated[int | None, typer.Option(help="Port of the inference API.")]
ManagementPort = Annotated[int | None, typer.Option(help="Port of the management API.")]


def settings_from(**flags: object) -> Settings:
    """Settings from file, environment (ONNXSERVE_…) and the flags that were given."""
    return resolve_settings(os.environ, flags)


def release_of(settings: Settings) -> ReleaseService:
    """Release steps on the server that the settings name."""
    defaults = read_config(settings.gateway_file).default
    role_store = RoleStore(settings.state)
    return ReleaseService(
        Management(settings.management), History(settings.state), stores_of(settings), role_store, defaults
    )
