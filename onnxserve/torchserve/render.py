"""Renders the configuration that TorchServe starts with: the user's, with our addresses and absolute paths."""

from __future__ import annotations

import shlex
from pathlib import Path

from .properties import read_properties
from .settings import Settings

FILE = "file:"
HIDDEN = "blacklist_env_vars"  # a pattern; workers don't get variables whose names match it
HOME, LOG = "-Dmodel_server_home=", f"-Dlog4j.configurationFile={FILE}"
PATHS = ("metrics_config", "plugins_path")
GRPC_GATE = "no-grpc.pem"


def render_configuration(settings: Settings) -> dict[str, str]:
    """Return keys and values of the configuration, with paths that don't depend on the working folder.

    TorchServe 0.12 can't switch off its gRPC servers, whose management API any local user could call. It starts them
    last, when its other APIs listen, and reads their certificate first. We name a pipe that nobody writes to as the
    certificate (`GRPC_GATE` in the run folder). So the thread waits forever, and no gRPC port is opened
    (`ModelServer.startGRPCServers`; the thread would only schedule system metrics besides, which are off).
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
    # Quoted, since a folder's name may have spaces; only our command reads this value.
    properties["vmargs"] = shlex.join(_absolute(argument, folder) for argument in properties.get("vmargs", "").split())
    if HOME in properties["vmargs"]:
        # TorchServe puts the archive on Python's path, which would run its code before our worker verifies it.
        hidden = [name for name in properties.get(HIDDEN, "").split("|") if name]
        properties[HIDDEN] = "|".join(dict.fromkeys([*hidden, "PYTHONPATH"]))
    return properties


def _absolute(argument: str, folder: Path) -> str:
    """Return a Java argument with an absolute path."""
    if argument.startswith(HOME):
        return f"{HOME}{folder / argument.removeprefix(HOME)}"
    if argument.startswith(LOG):
        uri = (folder / argument.removeprefix(LOG)).as_uri()
        return f"{LOG.removesuffix(FILE)}{uri}"
    return argument
