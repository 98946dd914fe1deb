"""What faults are made on: a server with two versions behind its edge, and clients that count what they get."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import msgspec

from export.__main__ import STEPS
from export.export import export_model
from onnxserve.archive import reconfigure
from onnxserve.cli.serve import wait_until_ready
from onnxserve.cli.watching import PREDICTIONS
from onnxserve.config import Server, Settings, free_ports, start_server, with_free_ports
from onnxserve.edge import Edge, Intent, Traffic
from onnxserve.edge.intent import Cache, Guard, Listen
from onnxserve.edge.processes import start
from onnxserve.management import Management
from onnxserve.release import History, Release
from onnxserve.scaffold import new_model

from .prepare import ROOT
from .wire import Wire, wire

READY_S = 120
MOUNT, UMOUNT = "/usr/bin/mount", "/usr/bin/umount"


@dataclass
class Stage:
    """A server, its edge and its release steps."""

    settings: Settings
    server: Server
    release: Release
    url: str = ""
    wire: Wire | None = None

    def workers(self, version: str) -> list[int]:
        """Process ids of a version's workers."""
        [found] = [one for one in self.release.management.versions("circle") if one.model_version == version]
        return [worker.pid for worker in found.workers]

    def kill(self, version: str, count: int) -> None:
        """`kill -9` for some workers of a version."""
        for pid in self.workers(version)[:count]:
            with contextlib.suppress(ProcessLookupError):  # the last one may not have been replaced yet
                os.kill(pid, signal.SIGKILL)

    def restart(self) -> None:
        """TorchServe killed with its workers, and started again."""
        os.killpg(self.server.process.pid, signal.SIGKILL)
        self.server.process.wait()
        time.sleep(1)
        self.server = start_server(self.settings)  # without the log
        wait_until_ready(self.server, self.settings, READY_S)
        self.release.restore()


@dataclass
class Clients:
    """Closed-loop clients; each row is new to the cache half of the time."""

    url: str
    seen: Counter[str] = field(default_factory=Counter)
    stop: threading.Event = field(default_factory=threading.Event)

    def run(self, number: int) -> None:
        """One client."""
        with httpx.Client(base_url=self.url, trust_env=False, timeout=60) as http:
            turn = 0
            while not self.stop.is_set():
                turn += 1
                row = [number, turn] if turn % 2 else [0, 0]
                try:
                    self.seen[kind(http.post("/predictions/circle", json=row))] += 1
                except httpx.HTTPError:
                    self.seen["lost"] += 1


def kind(answer: httpx.Response) -> str:
    """What an answer was."""
    if answer.status_code == 200:
        return (
            f"degraded: {answer.headers['x-onnxserve-degraded']}"
            if "x-onnxserve-degraded" in answer.headers
            else "answered"
        )
    try:
        refused = answer.json()["error"]["type"]
    except (ValueError, KeyError):
        return "lost"
    return f"refused: {answer.status_code} {refused}"


def archives(folder: Path) -> list[Path]:
    """Two versions of a small model, the first with two workers."""
    definition = new_model("tabular", "circle", folder / "one")
    second = folder / "two" / "circle"
    shutil.copytree(definition, second)
    toml = second / "model.toml"
    toml.write_text(
        toml.read_text(encoding="utf-8").replace('version = "1.0.0"', 'version = "2.0.0"'), encoding="utf-8"
    )
    made = [export_model(one, folder / "made", STEPS, lambda _: None).archive for one in (definition, second)]
    reconfigure(made[0], made[0], {"minWorkers": 2, "maxWorkers": 2})
    return made


@contextmanager
def stage(folder: Path, *, wired: bool = False) -> Iterator[Stage]:
    """All of it, started."""
    store = folder / "store"
    store.mkdir()
    for archive in archives(folder):
        shutil.copy(archive, store)
    settings = with_free_ports(Settings(ROOT / "config.properties", store, folder / "state"))
    log = settings.state.resolve() / "predictions"
    told = msgspec.json.encode({"folder": str(log), "percent": 100.0}).decode()
    traffic = Traffic(settings.state)
    release = Release(Management(settings.management), History(settings.state), store, traffic)
    with contextlib.ExitStack() as held:
        made = Stage(settings, start_server(settings, {PREDICTIONS: told}), release)
        held.callback(lambda: made.server.stop())  # noqa: PLW0108 - a fault may put another server in its place
        wait_until_ready(made.server, settings, READY_S)
        release.restore()
        release.promote("circle", "1.0.0")
        made.wire = held.enter_context(wire(settings.inference_port)) if wired else None
        edge = fronted(settings, made.wire)
        door = start(edge, traffic.labels)
        held.callback(door.stop)
        traffic.started(edge)
        made.url = edge.url
        yield made


def fronted(settings: Settings, way: Wire | None) -> Edge:
    """The edge, which asks nginx about each request and keeps answers for a second."""
    port, metrics = free_ports(2)
    listen, limits = Listen(port=port, metrics_port=metrics), Guard(per_second=100_000)
    intent = Intent(listen=listen, cache=Cache(seconds=1), guard=limits)
    run = (settings.state / "edge").resolve()
    return Edge(intent, run, way.port if way else settings.inference_port, settings.management_port)


@contextmanager
def small_disk(folder: Path) -> Iterator[bool]:
    """A file system of 1 MiB for the prediction log, where this process may mount one; whether it may."""
    place = folder / "state" / "predictions"
    place.mkdir(parents=True)
    words = [MOUNT, "-t", "tmpfs", "-o", "size=1m", "none", str(place)]
    mounted = subprocess.run(words, check=False, capture_output=True).returncode == 0
    try:
        yield mounted
    finally:
        if mounted:
            subprocess.run([UMOUNT, "--lazy", str(place)], check=True)
