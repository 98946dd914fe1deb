"""Starting TorchServe in a process group of its own, and ending exactly that group."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from onnxserve.errors import ServerError
from onnxserve.groups import end_group, listening

from .java import find_java
from .properties import read_properties, render_properties
from .settings import Settings

NONE: Mapping[str, str] = {}
KILL_FIX = "apt-get install procps (or what has `kill` elsewhere)"
STOP_S = 30
PATHS = ("-Dlog4j.configurationFile=file:", "-Dmodel_server_home=")


def rendered(settings: Settings) -> dict[str, str]:
    """The user's configuration with our addresses, and paths that don't depend on the working folder."""
    properties = read_properties(settings.config)
    folder = settings.config.resolve().parent
    properties |= {
        "inference_address": settings.inference,
        "management_address": settings.management,
        "metrics_address": f"http://127.0.0.1:{settings.metrics_port}",
        "grpc_inference_port": str(settings.grpc_inference_port),
        "grpc_management_port": str(settings.grpc_management_port),
        "model_store": str(settings.store.resolve()),
    }
    properties |= {
        key: str(folder / properties[key]) for key in ("metrics_config", "plugins_path") if key in properties
    }
    properties["vmargs"] = " ".join(_absolute(arg, folder) for arg in properties.get("vmargs", "").split())
    return properties


def _absolute(argument: str, folder: Path) -> str:
    """A Java argument with its path made independent of the working folder."""
    for mark in PATHS:
        if argument.startswith(mark):
            return f"{mark}{folder / argument.removeprefix(mark)}"
    return argument


def busy_ports(settings: Settings) -> list[int]:
    """Those of our ports that somebody already listens on."""
    ports = (
        settings.inference_port,
        settings.management_port,
        settings.metrics_port,
        settings.grpc_inference_port,
        settings.grpc_management_port,
    )
    return [port for port in ports if listening(port)]


def has_kill() -> bool:
    """Whether TorchServe can end workers: it starts `kill -9`, which slim images lack.

    Without it a model is never unregistered and workers are never scaled down (`WorkLoadManager.java`).
    """
    return shutil.which("kill") is not None


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on, held together so that they differ."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


def with_free_ports(settings: Settings) -> Settings:
    """The same, where nobody listens."""
    inference, management, metrics, grpc_inference, grpc_management = free_ports(5)
    return replace(
        settings,
        inference_port=inference,
        management_port=management,
        metrics_port=metrics,
        grpc_inference_port=grpc_inference,
        grpc_management_port=grpc_management,
    )


@dataclass(frozen=True)
class Server:
    """A running TorchServe; `log` is where it writes."""

    process: subprocess.Popen[bytes]
    log: Path

    def alive(self) -> bool:
        """Whether the frontend still runs."""
        return self.process.poll() is None

    def stop(self) -> None:
        """End the group: frontend and workers, first kindly."""
        end_group(self.process, signal.SIGTERM, STOP_S)


def start_server(settings: Settings, variables: Mapping[str, str] = NONE) -> Server:
    """Render the configuration under the state folder and start; returns before models are ready.

    `variables` are set for the frontend and its workers.
    """
    if not settings.store.is_dir() or not list(settings.store.glob("*.mar")):
        raise ServerError(
            "the model store has no archive", where=str(settings.store), fix="onnxserve export models/NAME"
        )
    if not has_kill():
        raise ServerError("there is no program `kill`", where="PATH", fix=KILL_FIX)
    if taken := busy_ports(settings):
        raise ServerError(f"ports {taken} are taken", fix="stop the other server, or choose others: --inference-port …")
    java, state = find_java(), settings.state.resolve()
    temp = state / "tmp"
    temp.mkdir(parents=True, exist_ok=True)
    config, log = state / "config.properties", state / "torchserve.log"
    config.write_text(render_properties(rendered(settings)), encoding="utf-8")
    # A TEMP of its own: TorchServe keeps its pid file and sockets there, one server each.
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    environment |= {**variables, "JAVA_HOME": str(java.home), "TEMP": str(temp), "TMPDIR": str(temp)}
    # As a module: the same interpreter then runs the workers.
    command = [sys.executable, "-m", "ts.model_server", "--start", "--foreground", "--ncs", "--ts-config", str(config)]
    command += ["--model-store", str(settings.store.resolve())]
    with log.open("wb") as stream:
        process = subprocess.Popen(
            command, cwd=state, env=environment, stdout=stream, stderr=subprocess.STDOUT, start_new_session=True
        )
    return Server(process, log)
