"""`onnxserve serve` as a process below this one, with ports and folders of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import httpx
import msgspec

from onnxserve.client import loopback, parse_address
from onnxserve.definition.toml_literal import key, literal
from onnxserve.errors import GatewayError, ServerError
from onnxserve.gateway import RoleStore, read_config
from onnxserve.paths import resource
from onnxserve.processes import end_group, lines_since, log_size, run_folder_is_locked, spawn
from onnxserve.supervisor import Event, Version
from onnxserve.supervisor.events import FILE as EVENTS
from onnxserve.supervisor.readiness import waiting_versions_if_up
from onnxserve.torchserve import Management, Settings, free_ports
from onnxserve.torchserve.settings import FORMER, PREFIX

STOP_S = 60.0  # the gateway answers requests under way; what is left then is killed
POLL_S = 0.05
PROBE_S = 5.0
LOG = "serve.log"
LAST_LINES = 12
# The fields of gateway.toml that name files, by section.
FILES = {"tls": ("certificate", "key", "client_ca"), "auth": ("keys",), "jwt": ("jwks",), "predictions": ("folder",)}


@dataclass(frozen=True)
class ServerProcess:
    """The process, its settings, and the URLs for clients and of the console."""

    process: subprocess.Popen[bytes]
    settings: Settings
    url: str
    console: str
    log: Path
    events: int  # bytes of the log of events that an earlier server of the same state folder wrote

    def wait_ready(self, versions: Collection[Version], timeout_s: float) -> None:
        """Wait until each of the versions answers and roles can be moved.

        ServerError if the server refuses an archive, ends before, or isn't ready in time.
        """
        deadline = time.monotonic() + timeout_s
        while not self._is_ready(versions):
            if self.process.poll() is not None:
                raise ServerError(f"the server ended while starting:\n{self._last_lines()}", where=str(self.log))
            if reasons := self._refusals():
                raise ServerError("; ".join(reasons), where=str(self.log))
            if time.monotonic() > deadline:
                what = f"the server isn't ready after {timeout_s:g} s:\n{self._last_lines()}"
                raise ServerError(what, where=str(self.log), fix="give it more time: timeout_s=…")
            time.sleep(POLL_S)

    def stop(self) -> None:
        """Answer the requests under way, then end the server and everything below it."""
        end_group(self.process, signal.SIGTERM, STOP_S)

    def _is_ready(self, versions: Collection[Version]) -> bool:
        if RoleStore(self.settings.state).control is None:
            return False
        try:  # the console, since the port for clients may ask for certificates; nginx opens both at once
            with parse_address(self.console).client(PROBE_S) as client:
                if not client.get("/console/").is_success:
                    return False
        except httpx.HTTPError:
            return False
        return waiting_versions_if_up(Management(self.settings.management), versions) == {}

    def _refusals(self) -> list[str]:
        lines = lines_since(self.settings.state / EVENTS, self.events)
        events = (msgspec.json.decode(line, type=Event) for line in lines if line.endswith("}"))
        return [event.detail for event in events if event.event == "refused"]

    def _last_lines(self) -> str:
        lines = self.log.read_text(encoding="utf-8", errors="replace").splitlines() if self.log.is_file() else []
        return "\n".join(lines[-LAST_LINES:])


def start_process(store: Path, folder: Path, gateway: Mapping[str, Mapping[str, Any]]) -> ServerProcess:
    """Start a server for the archives in `store`, with its state and its log in `folder`; return before it is ready.

    `gateway` are sections of gateway.toml. GatewayError for fields that the gateway doesn't have; ServerError for a
    folder that can't be written, or that another server has.
    """
    file, state, log = folder / "gateway.toml", folder / "state", folder / LOG
    settings = Settings(resource("config.properties"), store, state, gateway_file=file)
    if run_folder_is_locked(settings.run):
        raise ServerError(
            "another server runs with this folder", where=str(folder), fix="close it, or name another one"
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file.write_text(gateway_text(gateway), encoding="utf-8")
    except OSError as error:
        what = f"the server's folder can't be written: {error.strerror}"
        raise ServerError(what, where=str(folder), fix="name another folder (state=…)") from error
    try:
        config = read_config(file)
    except GatewayError as error:
        where = "gateway" if error.where == str(file) else error.where  # a file that it names
        raise GatewayError(error.what, where=where, fix=error.fix) from error
    options = {"config": settings.config, "store": store, "state": state, "gateway-file": file, "warm-up": 0}
    words = [word for name, value in options.items() for word in (f"--{name}", str(value))]
    events = log_size(state / EVENTS)
    process = spawn(
        [sys.executable, "-P", "-m", "onnxserve", "serve", *words],
        folder=Path.cwd(),
        log=log,
        environment=environment(),
        death=signal.SIGTERM,
    )
    return ServerProcess(process, settings, config.url, str(loopback(config.listen.metrics_port)), log, events)


def gateway_text(gateway: Mapping[str, Mapping[str, Any]]) -> str:
    """Return a gateway.toml with these sections, and free ports where `listen` names none.

    Paths are relative to the present folder, as in any other argument of a program.
    """
    port, console_port = free_ports(2)
    listen = {"port": port, "metrics_port": console_port, **gateway.get("listen", {})}
    sections = {**gateway, "listen": listen}
    lines = [line for name, section in sections.items() for line in (f"[{key(name)}]", *section_lines(name, section))]
    return "\n".join(lines) + "\n"


def section_lines(name: str, section: Mapping[str, Any]) -> list[str]:
    """Return the fields of a section as TOML, with absolute paths."""
    return [f"{key(field)} = {literal(value)}" for field, value in with_absolute_paths(name, section).items()]


def with_absolute_paths(name: str, section: Mapping[str, Any]) -> dict[str, Any]:
    """Return a section whose files, also those of a section within it, have absolute paths."""

    def absolute(field: str, value: Any) -> Any:
        if isinstance(value, Mapping):
            return with_absolute_paths(field, value)
        is_path = field in FILES.get(name, ()) and isinstance(value, str | os.PathLike) and str(value)
        return str(Path(value).absolute()) if is_path else value

    return {field: absolute(field, value) for field, value in section.items()}


def environment() -> dict[str, str]:
    """Return this process's variables without those that set what a server of its own chooses, such as its ports."""
    names = {f"{PREFIX}{name}" for name in (*(setting.name.upper() for setting in fields(Settings)), *FORMER)}
    return {name: value for name, value in os.environ.items() if name not in names}
