"""The settings of a server; precedence: default < config.properties < environment < flag."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from onnxserve.client import Address, loopback, unix
from onnxserve.errors import ServerError
from onnxserve.paths import resource

from .properties import read_properties

PREFIX = "ONNXSERVE_"
PORTS = ("inference_port", "management_port", "metrics_port")
# Names of variables until 0.2 and the settings that they mean; they work for one more minor version.
FORMER = {"TRAFFIC": "gateway_file", "EDGE_HOST": "gateway_host", "EDGE_PORT": "gateway_port"}


@dataclass(frozen=True)
class Settings:
    """Where the server finds its models and listens.

    TorchServe's three APIs are unix sockets in the run folder. If `plain`, they are ports of loopback instead, as for a
    server that `torchserve --start` started.
    """

    config: Path
    """TorchServe's config.properties: the one in the current folder, else the installation's."""
    store: Path = Path("model_store")
    """Folder of the archives that are served."""
    state: Path = Path(".onnxserve")
    """Folder of roles, history, logs and sockets."""
    plain: bool = False
    """TorchServe listens on ports of loopback, not on unix sockets; naming a port sets it."""
    inference_port: int = 8080
    """TCP port of a plain TorchServe's inference API; config.properties may name another."""
    management_port: int = 8081
    """TCP port of a plain TorchServe's management API; config.properties may name another."""
    metrics_port: int = 8082
    """TCP port of a plain TorchServe's metrics API; config.properties may name another."""
    gateway_file: Path = field(default_factory=lambda: default_file("gateway.toml", "traffic.toml"))
    """The gateway's configuration: gateway.toml in the current folder, else the installation's."""
    gateway_host: str = ""
    """Address that clients connect to; empty for `listen.host` of gateway.toml."""
    gateway_port: int = 0
    """TCP port that clients connect to; 0 for `listen.port` of gateway.toml."""

    @property
    def run(self) -> Path:
        """The run folder: sockets and records of one running server, mode 0700."""
        return self.state.resolve() / "run"

    @property
    def inference(self) -> Address:
        """TorchServe's inference API."""
        return self._address("inference", self.inference_port)

    @property
    def management(self) -> Address:
        """TorchServe's management API; anybody who reaches it can load code."""
        return self._address("management", self.management_port)

    @property
    def metrics(self) -> Address:
        """TorchServe's metrics API."""
        return self._address("metrics", self.metrics_port)

    def _address(self, api: str, port: int) -> Address:
        return loopback(port) if self.plain else unix(self.run / f"{api}.sock")


def check_names(settings: Settings) -> None:
    """Raise ServerError for a path that TorchServe can't be told: with a line break, or bytes that aren't UTF-8."""
    for path in (settings.config, settings.store, settings.state, settings.gateway_file):
        name = str(path.resolve())
        # Python has a code point from here on for each byte that isn't UTF-8 (PEP 383).
        surrogate = any("\ud800" <= character <= "\udfff" for character in name)
        if surrogate or not {"\n", "\r"}.isdisjoint(name):
            what = "the name of a file or folder " + ("isn't UTF-8" if surrogate else "has a line break")
            raise ServerError(what, where=ascii(name), fix="rename it, or choose another one")


def default_file(name: str, *former: str) -> Path:
    """Return the file `name` of the current folder, or one of a former name there, else the file that we ship."""
    here = (Path(known) for known in (name, *former))
    return next((path for path in here if path.is_file()), resource(name))


def from_file(properties: Mapping[str, str]) -> dict[str, str]:
    """Return the settings that `config.properties` holds; its ports are those of a plain server."""
    values = {}
    for api in ("inference", "management", "metrics"):
        if port := urlsplit(properties.get(f"{api}_address", "")).port:
            values[f"{api}_port"] = str(port)
    if "model_store" in properties:
        values["store"] = properties["model_store"]
    return values


def resolve_settings(environment: Mapping[str, str], flags: Mapping[str, object]) -> Settings:
    """Return the settings from all four levels; ServerError names a value that isn't a port.

    A port that is named by the environment or a flag means a plain server: only those have ports.
    """
    config = Path(str(flags.get("config") or environment.get(PREFIX + "CONFIG") or default_file("config.properties")))
    names = [setting.name for setting in fields(Settings) if setting.name != "config"]
    named: dict[str, object] = {
        name: environment[PREFIX + former] for former, name in FORMER.items() if PREFIX + former in environment
    }
    named |= {name: environment[PREFIX + name.upper()] for name in names if PREFIX + name.upper() in environment}
    named |= {name: flags[name] for name in names if flags.get(name) is not None}
    if any(port in named for port in PORTS):
        named.setdefault("plain", True)
    values = {**from_file(read_properties(config)), **named}
    typed: dict[str, Any] = {name: _parse(name, value) for name, value in values.items()}
    return Settings(config, **typed)


def _parse(name: str, value: object) -> Path | int | str | bool:
    if name == "plain":
        return str(value).lower() in {"1", "true", "yes"}
    if name.endswith("_host"):
        return str(value)
    return _port(name, value) if name.endswith("_port") else Path(str(value))


def _port(name: str, value: object) -> int:
    try:
        port = int(str(value))
    except ValueError as error:
        raise ServerError(f"{name} is {value!r}, not a number", fix="give a port from 1 to 65535") from error
    if not 0 < port < 65536:
        raise ServerError(f"{name} is {port}", fix="give a port from 1 to 65535")
    return port
