"""The configuration that TorchServe is started with: the user's, with our addresses and paths that always hold."""

from __future__ import annotations

import shlex
from pathlib import Path

from .properties import read_properties
from .settings import Settings

FILE = "file:"
HIDDEN = "blacklist_env_vars"  # a pattern; workers don't see variables whose names match it
HOME, LOG = "-Dmodel_server_home=", f"-Dlog4j.configurationFile={FILE}"
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
    # Quoted, since a folder may have spaces in its name; TorchServe itself doesn't read them.
    properties["vmargs"] = shlex.join(_absolute(argument, folder) for argument in properties.get("vmargs", "").split())
    if HOME in properties["vmargs"]:
        # TorchServe puts the archive on Python's path, from where it would run code before our worker verifies it.
        hidden = [name for name in properties.get(HIDDEN, "").split("|") if name]
        properties[HIDDEN] = "|".join(dict.fromkeys([*hidden, "PYTHONPATH"]))
    return properties


def _absolute(argument: str, folder: Path) -> str:
    """A Java argument with its path made independent of the working folder."""
    if argument.startswith(HOME):
        return f"{HOME}{folder / argument.removeprefix(HOME)}"
    if argument.startswith(LOG):
        uri = (folder / argument.removeprefix(LOG)).as_uri()
        return f"{LOG.removesuffix(FILE)}{uri}"
    return argument
