"""What a server is started with; precedence: default < config.properties < environment < flag."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from onnxserve.errors import ServerError
from onnxserve.places import resource

from .properties import read_properties

PREFIX = "ONNXSERVE_"


@dataclass(frozen=True)
class Settings:
    """Where the server finds its models and listens; hosts are always loopback."""

    config: Path
    store: Path = Path("model_store")
    state: Path = Path(".onnxserve")
    inference_port: int = 8080
    management_port: int = 8081
    metrics_port: int = 8082
    grpc_inference_port: int = 7070
    grpc_management_port: int = 7071
    traffic: Path = field(default_factory=lambda: default_file("traffic.toml"))
    edge_host: str = ""  # empty and 0: as traffic.toml says
    edge_port: int = 0

    @property
    def inference(self) -> str:
        """Base URL of the inference API."""
        return f"http://127.0.0.1:{self.inference_port}"

    @property
    def management(self) -> str:
        """Base URL of the management API."""
        return f"http://127.0.0.1:{self.management_port}"


def default_file(name: str) -> Path:
    """`config.properties` or `traffic.toml` of the current folder, else the one we ship."""
    here = Path(name)
    return here if here.is_file() else resource(name)


def from_file(properties: Mapping[str, str]) -> dict[str, str]:
    """Settings that `config.properties` holds."""
    found = {}
    for api in ("inference", "management", "metrics"):
        if port := urlsplit(properties.get(f"{api}_address", "")).port:
            found[f"{api}_port"] = str(port)
    for key in ("grpc_inference_port", "grpc_management_port"):
        if key in properties:
            found[key] = properties[key]
    if "model_store" in properties:
        found["store"] = properties["model_store"]
    return found


def resolve_settings(environment: Mapping[str, str], flags: Mapping[str, object]) -> Settings:
    """Settings from all four levels; ServerError names the value that is no port."""
    config = Path(str(flags.get("config") or environment.get(PREFIX + "CONFIG") or default_file("config.properties")))
    names = [one.name for one in fields(Settings) if one.name != "config"]
    values: dict[str, object] = dict(from_file(read_properties(config)))
    values |= {name: environment[PREFIX + name.upper()] for name in names if PREFIX + name.upper() in environment}
    values |= {name: flags[name] for name in names if flags.get(name) is not None}
    typed: dict[str, Any] = {name: _typed(name, value) for name, value in values.items()}
    return Settings(config, **typed)


def _typed(name: str, value: object) -> Path | int | str:
    if name.endswith("_host"):
        return str(value)
    if not name.endswith("_port"):
        return Path(str(value))
    try:
        port = int(str(value))
    except ValueError as error:
        raise ServerError(f"{name} is {value!r}, not a number", fix="give a port from 1 to 65535") from error
    if not 0 < port < 65536:
        raise ServerError(f"{name} is {port}", fix="give a port from 1 to 65535")
    return port
