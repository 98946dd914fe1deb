"""The system that faults are tested on: `onnxserve serve` with two versions of a model, and clients that count."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import psutil

from onnxserve.archive import reconfigure
from onnxserve.gateway import RoleStore
from onnxserve.release import History, ReleaseService
from onnxserve.scaffold import new_model
from onnxserve.torchserve import Management, Settings, free_ports
from onnxserve_export.export import export_model
from onnxserve_export.steps import STEPS

from . import ROOT

READY_S = 120.0
STOP_S = 60.0
MOUNT, UMOUNT = "/usr/bin/mount", "/usr/bin/umount"
GATEWAY = """[listen]
port = {port}
metrics_port = {metrics}
[predictions]
percent = 100.0
megabytes = 4.0
"""


@dataclass
class SystemUnderTest:
    """A running `onnxserve serve`, its settings and release service."""

    process: subprocess.Popen[bytes]
    settings: Settings
    release: ReleaseService
    url: str

    def children(self, words: str) -> list[psutil.Process]:
        """Return the server's child processes whose command line contains `words`."""
        processes = []
        for process in psutil.Process(self.process.pid).children(recursive=True):
            with contextlib.suppress(psutil.Error):
                if words in " ".join(process.cmdline()):
                    processes.append(process)
        return processes

    def workers(self, version: str) -> list[int]:
        """Return the process ids of a version's workers."""
        loaded = self.release.management.versions("circle")
        [model] = [model for model in loaded if model.model_version == version]
        return [worker.pid for worker in model.workers if worker.pid > 0]

    def kill(self, version: str, count: int) -> None:
        """Kill up to `count` workers of a version with SIGKILL."""
        for pid in self.workers(version)[:count]:
            with contextlib.suppress(ProcessLookupError):  # the list may name a worker that has ended already
                os.kill(pid, signal.SIGKILL)

    def wait_ready(self) -> None:
        """Wait until the server reports that every version with traffic is ready."""
        deadline = time.monotonic() + READY_S
        while time.monotonic() < deadline:
            with contextlib.suppress(httpx.HTTPError):
                if httpx.get(f"{self.url}/v2/health/ready", trust_env=False, timeout=5).is_success:
                    return
            if self.process.poll() is not None:
                raise RuntimeError((self.settings.state.parent / "serve.log").read_text(encoding="utf-8"))
            time.sleep(0.2)
        raise RuntimeError(f"not ready after {READY_S:g} s")


@dataclass
class Clients:
    """Closed-loop clients that never repeat a row, so no answer comes from the cache."""

    url: str
    seen: Counter[str] = field(default_factory=Counter)
    stop: threading.Event = field(default_factory=threading.Event)

    def run(self, number: int) -> None:
        """Run one client; it retries refused connections, since the server may be restarting."""
        with httpx.Client(base_url=self.url, trust_env=False, timeout=60) as http:
            turn = 0
            while not self.stop.is_set():
                turn += 1
                try:
                    self.seen[kind(http.post("/predictions/circle", json=[number + turn / 1e6, turn % 97]))] += 1
                except httpx.ConnectError:
                    self.seen["no connection"] += 1
                    time.sleep(0.05)
                except httpx.HTTPError:
                    self.seen["lost"] += 1


def kind(answer: httpx.Response) -> str:
    """Classify a response."""
    if answer.status_code == 200:
        how = answer.headers.get("x-onnxserve-degraded")
        return f"degraded: {how}" if how else "answered"
    try:
        refused = answer.json()["error"]["type"]
    except (ValueError, KeyError, TypeError):
        return "lost"
    return f"refused: {answer.status_code} {refused}"


def archives(folder: Path) -> list[Path]:
    """Export two versions of a small model, the first with two workers."""
    definition = new_model("table", "circle", folder / "one")
    second = folder / "two" / "circle"
    shutil.copytree(definition, second)
    toml = second / "model.toml"
    text = toml.read_text(encoding="utf-8").replace('version = "1.0.0"', 'version = "2.0.0"')
    toml.write_text(text, encoding="utf-8")
    exported = [export_model(source, folder / "made", STEPS, lambda _: None).archive for source in (definition, second)]
    reconfigure(exported[0], exported[0], {"minWorkers": 2, "maxWorkers": 2})
    return exported


@contextmanager
def system_under_test(folder: Path) -> Iterator[SystemUnderTest]:
    """Start the server with both versions, as users start it."""
    store, (port, metrics) = folder / "store", free_ports(2)
    store.mkdir()
    for archive in archives(folder):
        shutil.copy(archive, store)
    traffic = folder / "gateway.toml"
    traffic.write_text(GATEWAY.format(port=port, metrics=metrics), encoding="utf-8")
    settings = Settings(ROOT / "config.properties", store, folder / "state", gateway_file=traffic)
    with served_as(settings, folder, port) as system:
        for version in ("1.0.0", "2.0.0"):
            system.release.management.wait_ready("circle", version, READY_S)
        yield system


@contextmanager
def served_as(settings: Settings, folder: Path, port: int) -> Iterator[SystemUnderTest]:
    """Run `onnxserve serve` with these settings until the block ends; yield it once it is ready."""
    command = [sys.executable, "-m", "onnxserve", "serve", "--config", str(settings.config)]
    command += [
        "--gateway-file",
        str(settings.gateway_file),
        "--store",
        str(settings.store),
        "--state",
        str(settings.state),
    ]
    with (folder / "serve.log").open("wb") as log:
        process = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log)
    role_store = RoleStore(settings.state)
    release = ReleaseService(Management(settings.management), History(settings.state), settings.store, role_store)
    system = SystemUnderTest(process, settings, release, f"http://127.0.0.1:{port}")
    try:
        system.wait_ready()
        yield system
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(STOP_S)
        finally:
            process.kill()


@contextmanager
def small_disk(folder: Path) -> Iterator[bool]:
    """Mount a 96 MiB file system for the state folder; yield False if this process may not mount."""
    place = folder / "state"
    place.mkdir(parents=True)
    words = [MOUNT, "-t", "tmpfs", "-o", "size=96m", "none", str(place)]
    mounted = subprocess.run(words, check=False, capture_output=True).returncode == 0
    try:
        yield mounted
    finally:
        if mounted:
            subprocess.run([UMOUNT, "--lazy", str(place)], check=True)
