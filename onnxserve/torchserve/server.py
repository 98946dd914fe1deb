"""Starts TorchServe in its own process group, and ends exactly that group."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import signal
import socket
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path

from onnxserve.client import Address
from onnxserve.errors import ServerError
from onnxserve.processes import check_socket_path, end_group, lines_since, log_size, make_run_folder, spawn

from .command import frontend_command
from .java import find_java
from .load_failures import failure_reason
from .properties import render_properties
from .render import GRPC_GATE, render_configuration
from .settings import Settings

NONE: Mapping[str, str] = {}
KILL_FIX = "apt-get install procps (or what has `kill` elsewhere)"
STOP_S = 30.0
NAME = "torchserve"
PORT_RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")
FIRST_PORT, FIRST_OF_CLIENTS = 10_000, 32_768  # the latter is Linux's default
LARGEST_ANSWER = "ONNXSERVE_MAX_RESPONSE_BYTES"  # workers refuse answers that TorchServe wouldn't accept from them
# PYTHONPATH would shadow an archive's modules; TorchServe's own variables would override the rendered configuration.
UNWANTED = ("PYTHONPATH", "TS_")


def addresses(settings: Settings) -> tuple[Address, ...]:
    """Return the addresses of TorchServe's APIs."""
    return settings.inference, settings.management, settings.metrics


def busy_addresses(settings: Settings) -> list[str]:
    """Return those of the addresses at which a process listens already."""
    return [str(address) for address in addresses(settings) if address.listening()]


def has_kill() -> bool:
    """Return whether the program `kill` exists, which TorchServe runs to end workers; slim images lack it.

    Without it no model is unregistered and no worker is scaled down (`WorkLoadManager.java`).
    """
    return shutil.which("kill") is not None


def free_ports(count: int) -> list[int]:
    """Return `count` different TCP ports on which nobody listens.

    They lie below those that the kernel gives to clients (ip(7), ip_local_port_range), one of which could take a port
    before the server binds it. ServerError if there are none.
    """
    first_of_clients = int(PORT_RANGE.read_text().split()[0]) if PORT_RANGE.is_file() else FIRST_OF_CLIENTS
    below, ports = range(FIRST_PORT, max(FIRST_PORT, first_of_clients)), list[int]()
    start = secrets.randbelow(max(1, len(below)))  # servers that start at once look at different ports
    with contextlib.ExitStack() as stack:
        for port in chain(below[start:], below[:start]):
            bound = stack.enter_context(socket.socket())
            with contextlib.suppress(OSError):
                bound.bind(("127.0.0.1", port))
                ports.append(port)
            if len(ports) == count:
                return ports
    raise ServerError(f"there are no {count} free ports from {FIRST_PORT} to {first_of_clients - 1}")


def with_free_ports(settings: Settings) -> Settings:
    """Return the settings with free ports of loopback, for clients that can't use unix sockets."""
    inference, management, metrics = free_ports(3)
    return replace(settings, plain=True, inference_port=inference, management_port=management, metrics_port=metrics)


@dataclass(frozen=True)
class Server:
    """A running TorchServe; it writes to `log` from byte `begin` on."""

    process: subprocess.Popen[bytes]
    log: Path
    begin: int = 0

    def alive(self) -> bool:
        """Return whether the frontend runs."""
        return self.process.poll() is None

    def stop(self, patience_s: float = STOP_S) -> None:
        """Stop frontend and workers gracefully; kill them after `patience_s` seconds."""
        end_group(self.process, signal.SIGTERM, patience_s)

    def output(self) -> list[str]:
        """Return the lines that it has written."""
        return lines_since(self.log, self.begin)

    def reason(self) -> str:
        """Return from the log why models failed to load or why it ended."""
        return failure_reason(self.output())


def start_server(settings: Settings, variables: Mapping[str, str] = NONE, archives: Sequence[str] = ()) -> Server:
    """Render the configuration into the state folder and start TorchServe; return before models are ready.

    `variables` are set for the frontend and its workers. `archives` are the file names of the archives to load, in that
    order; if it is empty, all archives of the store are loaded. ServerError for what would keep it from starting.
    """
    check(settings)
    state = settings.state.resolve()
    temp, config, log = state / "tmp", state / "config.properties", state / "torchserve.log"
    make_folders(settings, temp)
    properties = render_configuration(settings)
    if archives:
        properties["load_models"] = ",".join(archives)
    replace_text(config, render_properties(properties))
    # Its own TEMP: TorchServe keeps unpacked models and workers' sockets there, so servers can't share it.
    environment = {name: value for name, value in os.environ.items() if not name.startswith(UNWANTED)}
    java = find_java()
    environment[LARGEST_ANSWER] = properties.get("max_response_size", "")
    environment |= utf8_locale(environment)
    environment |= {**variables, "JAVA_HOME": str(java.home), "TEMP": str(temp), "TMPDIR": str(temp)}
    command = frontend_command(java, config, properties, temp)
    begin, record = log_size(log), settings.run / f"{NAME}.process"
    return Server(spawn(command, folder=state, log=log, environment=environment, record=record), log, begin)


def utf8_locale(environment: Mapping[str, str]) -> dict[str, str]:
    """Return what makes Java open files whose names are beyond ASCII, empty where the locale does (locale(7))."""
    chosen = next((environment[name] for name in ("LC_ALL", "LC_CTYPE", "LANG") if environment.get(name)), "C")
    return {} if chosen.lower().replace("-", "").endswith("utf8") else {"LC_ALL": "C.UTF-8"}


def check(settings: Settings) -> None:
    """Raise ServerError, with a fix, for anything that would keep TorchServe from starting."""
    check_store(settings.store)
    if not has_kill():
        raise ServerError("there is no program `kill`", where="PATH", fix=KILL_FIX)
    for address in addresses(settings):
        if address.path:
            check_socket_path(address.path)
    if busy := busy_addresses(settings):
        by = "other ports: --inference-port …" if settings.plain else "another state folder: --state DIR"
        fix = f"stop the other server, or choose {by}"
        raise ServerError(f"a server listens already: {', '.join(busy)}", fix=fix)


def check_store(store: Path) -> None:
    """Raise ServerError if the store has no archive."""
    if not any(store.glob("*.mar")):
        raise ServerError("the model store has no archive", where=str(store), fix="onnxserve export models/NAME")


def make_folders(settings: Settings, temp: Path) -> None:
    """Create the folders, which only this user can read, and the pipe that keeps gRPC closed.

    `temp` is emptied, since a killed TorchServe leaves its unpacked models there.
    """
    make_run_folder(settings.run)
    shutil.rmtree(temp, ignore_errors=True)
    make_run_folder(temp)
    gate = settings.run / GRPC_GATE
    if not gate.is_fifo():
        gate.unlink(missing_ok=True)
        os.mkfifo(gate, 0o600)


def replace_text(path: Path, text: str) -> None:
    """Write a file unless it has this text already, so that a start succeeds on a full disk."""
    if not path.is_file() or path.read_text(encoding="utf-8") != text:
        path.write_text(text, encoding="utf-8")
