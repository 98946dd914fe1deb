"""Options that say which server is meant, shared by the verbs that talk to one."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from onnxserve.config import Settings, resolve_settings
from onnxserve.edge import Traffic
from onnxserve.management import Management
from onnxserve.release import History, Release

Config = Annotated[Path | None, typer.Option(help="config.properties to start from.")]
Store = Annotated[Path | None, typer.Option(help="The model store.")]
State = Annotated[Path | None, typer.Option(help="Where logs and the release history are kept.")]
TrafficFile = Annotated[Path | None, typer.Option("--traffic", help="traffic.toml: what the edge does.")]
EdgePort = Annotated[int | None, typer.Option(help="Another port than traffic.toml's.")]
InferencePort = Annotated[int | None, typer.Option(help="Port of the inference API.")]
ManagementPort = Annotated[int | None, typer.Option(help="Port of the management API.")]


def settings_from(**flags: object) -> Settings:
    """Settings from file, environment (ONNXSERVE_…) and the flags that were given."""
    # Envoy's upstream is a port: sockets follow with the gateway.
    return resolve_settings(os.environ, {"plain": True, **flags})


def release_of(settings: Settings) -> Release:
    """Release steps on the server that the settings name."""
    return Release(Management(settings.management), History(settings.state), settings.store, Traffic(settings.state))
