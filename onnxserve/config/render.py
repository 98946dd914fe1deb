"""The configuration that TorchServe is started with: the user's, with our addresses and paths that always hold."""

from __future__ import annotations

from pathlib import Path

from .properties import read_properties
from .settings import Settings

PATH_ARGUMENTS = ("-Dlog4j.configurationFile=file:", "-Dmodel_server_home=")
PATHS = ("metrics_config", "plugins_path")
GRPC_GATE = "no-grpc.pem"


def rendered(settings: Settings) -> dict[str, str]:
    """Keys and values of the configuration; paths don't depend on the working folder.

    TorchServe 0.12 can't be told to leave out its gRPC servers, whose management API any local user could call. It
    starts them last, after its other APIs listen, and reads their certificate first. Ours is a pipe that nobody writes
    to (`GRPC_GATE` in the run folder), so that thread waits there for good, and no gRPC port is ever opened
    (`ModelServer.startGRPCServers`; the thread has nothing else to do but schedule system metrics, which are off).
    """
    properties = read_properties(settings.config)
    folder = settings.config.resolve().parent
    gate = str(settings.run / GRPC_GATE)
    properties |= {
        "inference_address": str(settings.inference),
        "management_address": str(settings.management),
        "metrics_address": str(settings.metrics),
        "enable_grpc_ssl": "true",
        "certificate_file": gate,
        "private_key_file": gate,
        "model_store": str(settings.store.resolve()),
    }
    properties |= {key: str(folder / properties[key]) for key in PATHS if key in properties}
    properties["vmargs"] = " ".join(_absolute(argument, folder) for argument in properties.get("vmargs", "").split())
    return properties


def _absolute(argument: str, folder: Path) -> str:
    """A Java argument with its path made independent of the working folder."""
    for mark in PATH_ARGUMENTS:
        if argument.startswith(mark):
            return f"{mark}{folder / argument.removeprefix(mark)}"
    return argument
