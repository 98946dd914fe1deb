"""The command that starts TorchServe's frontend, as TorchServe's own start script builds it."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

from onnxserve.errors import ServerError

from .java import Java

MAIN = "org.pytorch.serve.ModelServer"


def torchserve_home() -> Path:
    """Return the folder that holds TorchServe's package `ts`; ServerError if it isn't installed."""
    spec = find_spec("ts")
    if spec is None or spec.origin is None:
        raise ServerError("TorchServe is not installed", fix="pip install torchserve==0.12.0")
    return Path(spec.origin).resolve().parents[1]


def frontend_command(java: Java, config: Path, properties: Mapping[str, str], temp: Path) -> list[str]:
    """Return the command that `ts/model_server.py --start --ncs --ts-config CONFIG` would run in this Python.

    That script would stay as a process between us and Java; a signal to it, or its death, would leave Java running.
    """
    home = torchserve_home()
    class_path = f".:{home / 'ts' / 'frontend' / '*'}"
    if plugins := properties.get("plugins_path"):
        class_path += f":{plugins}" if "*" in plugins else f":{plugins}/*"
    return [
        str(java.home / "bin" / "java"),
        f"-Dmodel_server_home={home}",
        f"-Djava.io.tmpdir={temp}",
        *shlex.split(properties.get("vmargs", "")),
        "-cp",
        class_path,
        MAIN,
        "--python",
        sys.executable,
        "-f",
        str(config),
        "-s",
        properties["model_store"],
        "-ncs",
    ]
