"""Starting TorchServe in a process group of its own, and ending exactly that group."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from onnxserve.client import Address
from onnxserve.errors import ServerError
from onnxserve.processes import check_socket_path, end_group, lines_since, log_size, make_run_folder, spawn

from .command import frontend_command
from .java import find_java
from .load_failures import failure_reason
from .properties import render_properties
from .render import GRPC_GATE, rendered
from .settings import Settings

NONE: Mapping[str, str] = {}
KILL_FIX = "apt-get install procps (or what has `kill` elsewhere)"
STOP_S = 30.0
NAME = "torchserve"
LARGEST_ANSWER = "ONNXSERVE_MAX_RESPONSE_BYTES"  # workers refuse what TorchServe wouldn't take from them
# Ours would be shadowed by the first; TorchServe's own variables would win over the configuration that we render.
UNWANTED = ("PYTHONPATH", "TS_")


def addresses(settings: Settings) -> tuple[Address, ...]:
    """Where TorchServe's APIs listen."""
    return settings.inference, settings.management, settings.metrics


def busy_addresses(settings: Settings) -> list[str]:
    """Those of our addresses at which somebody listens already."""
    return [str(address) for address in addresses(settings) if address.listening()]


def has_kill() -> bool:
    """Whether TorchServe can end workers: it starts `kill -9`, which slim images lack.

    Without it a model is never unregistered and workers are never scaled down (`WorkLoadManager.java`).
    """
    return shutil.which("kill") is not None


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on, held together so that they differ."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for bound in sockets:
            bound.bind(("127.0.0.1", 0))
        return [bound.getsockname()[1] for bound in sockets]


def with_free_ports(settings: Settings) -> Settings:
    """The same on ports of loopback where nobody listens, for clients that can't use unix sockets."""
    inference, management, metrics = free_ports(3)
    return replace(settings, plain=True, inference_port=inference, management_port=management, metrics_port=metrics)


@dataclass(frozen=True)
class Server:
    """A running TorchServe; `log` is where it writes, from byte `begin` on."""

    process: subprocess.Popen[bytes]
    log: Path
    begin: int = 0

    def alive(self) -> bool:
        """Whether the frontend still runs."""
        return self.process.poll() is None

    def stop(self, patience_s: float = STOP_S) -> None:
        """End frontend and workers, first kindly; without patience at once."""
        end_group(self.process, signal.SIGTERM, patience_s)

    def output(self) -> list[str]:
        """The lines that it has written."""
        return lines_since(self.log, self.begin)

    def reason(self) -> str:
        """Why models were refused or it ended, as its log has it."""
        return failure_reason(self.output())


def start_server(settings: Settings, variables: Mapping[str, str] = NONE, archives: Sequence[str] = ()) -> Server:
    """Render the configuration under the state folder and start; returns before models are ready.

    `variables` are set for the frontend and its workers. `archives` are the file names of those to load, in that order;
    without them all of the store are.
    """
    check(settings)
    state = settings.state.resolve()
    temp, config, log = state / "tmp", state / "config.properties", state / "torchserve.log"
    make_folders(settings, temp)
    properties = rendered(settings)
    if archives:
        properties["load_models"] = ",".join(archives)
    replace_text(config, render_properties(properties))
    # A TEMP of its own: TorchServe keeps unpacked models and workers' sockets there, one server each.
    environment = {name: value for name, value in os.environ.items() if not name.startswith(UNWANTED)}
    java = find_java()
    environment[LARGEST_ANSWER] = properties.get("max_response_size", "")
    environment |= {**variables, "JAVA_HOME": str(java.home), "TEMP": str(temp), "TMPDIR": str(temp)}
    command = frontend_command(java, config, properties, temp)
    begin, record = log_size(log), settings.run / f"{NAME}.process"
    return Server(spawn(command, folder=state, log=log, environment=environment, record=record), log, begin)


def check(settings: Settings) -> None:
    """ServerError with a fix for what would keep TorchServe from starting."""
    check_store(settings.store)
    if not has_kill():
        raise ServerError("there is no program `kill`", where="PATH", fix=KILL_FIX)
    for address in addresses(settings):
        if address.path:
            check_socket_path(address.path)
    if busy := busy_addresses(settings):
        fix = "stop the other server, or choose others: --inference-port …" if settings.plain else "stop it, or --state"
        raise ServerError(f"a server listens already: {', '.join(busy)}", fix=fix)


def check_store(store: Path) -> None:
    """ServerError if there is nothing to serve."""
    if not any(store.glob("*.mar")):
        raise ServerError("the model store has no archive", where=str(store), fix="onnxserve export models/NAME")


def make_folders(settings: Settings, temp: Path) -> None:
    """Folders that only this user can read, and the pipe that keeps gRPC closed.

    A TorchServe that was killed leaves its unpacked models in `temp`.
    """
    make_run_folder(settings.run)
    shutil.rmtree(temp, ignore_errors=True)
    make_run_folder(temp)
    gate = settings.run / GRPC_GATE
    if not gate.is_fifo():
        gate.unlink(missing_ok=True)
        os.mkfifo(gate, 0o600)


def replace_text(path: Path, text: str) -> None:
    """Write a file unless it has this text already: on a full disk a start must go on with the one that is there."""
    if not path.is_file() or path.read_text(encoding="utf-8") != text:
        path.write_text(text, encoding="utf-8")
