"""`onnxserve serve` as a process of its own, as its users start it, and the processes below it."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil

from onnxserve.processes import bound
from onnxserve.release import ReleaseService, release_of
from onnxserve.torchserve import Settings, free_ports
from tests.helpers import plain_http
from tests.helpers.torchserve import ROOT
from tests.helpers.waiting import PROMISED_S, wait_for

READY_S = 180
STOP_S = 90


@dataclass
class Serving:
    """A running `onnxserve serve`."""

    process: subprocess.Popen[bytes]
    settings: Settings
    port: int
    output: Path

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def console(self) -> str:
        """The address of the console and of the counters."""
        text = self.settings.gateway_file.read_text()
        return f"http://127.0.0.1:{int(text.partition('metrics_port = ')[2].split()[0])}"

    def post(self, model: str, body: bytes, kind: str = "application/json") -> httpx.Response:
        """Ask a model through the gateway."""
        headers = {"content-type": kind} if kind else {}
        return plain_http.post(f"{self.url}/predictions/{model}", content=body, headers=headers, timeout=60)

    def predictions(self, model: str, instances: Sequence[Any], **parameters: Any) -> list[Any]:
        """Return a prediction for each instance."""
        answer = self.post(model, json.dumps({"instances": instances, "parameters": parameters}).encode())
        assert answer.status_code == 200, answer.text
        predictions: list[Any] = answer.json()["predictions"]
        return predictions

    @property
    def release(self) -> ReleaseService:
        """Release steps on it, as the command line makes them."""
        return release_of(self.settings)

    @contextlib.contextmanager
    def registered(self, archive: Path) -> Iterator[str]:
        """Register the archive of a new model and yield its version; after the block the model is gone."""
        version = self.release.register(archive)
        try:
            yield version
        finally:
            self._remove(archive.name.rpartition("-")[0], version)

    def _remove(self, model: str, version: str) -> None:
        """Remove a model with its only version."""
        self.release.retire(model, version, grace_s=0, last=True)
        wait_for(lambda: self.post(model, b"{}").status_code == 404 and self.is_ready(), PROMISED_S)

    def is_ready(self) -> bool:
        """Whether every version with traffic can answer."""
        assert self.process.poll() is None, self.output.read_text(errors="replace")[-3000:]
        with contextlib.suppress(httpx.HTTPError):
            return plain_http.get(f"{self.url}/v2/health/ready", timeout=5).is_success
        return False

    def wait_started(self) -> None:
        """Until it says that it is ready."""
        wait_for(lambda: self.is_ready() and "ready on " in self.output.read_text(errors="replace"))

    def events(self) -> list[dict[str, str]]:
        """What the supervisor recorded."""
        lines = (self.settings.state / "supervisor.log").read_text(errors="replace").splitlines()
        return [json.loads(line) for line in lines if line.startswith("{")]

    def leader(self, service: str) -> psutil.Process:
        """The process that a service was started with last."""
        started = [event for event in self.events() if (event["service"], event["event"]) == (service, "started")]
        return psutil.Process(int(started[-1]["detail"].removeprefix("process ")))

    def starts(self, service: str) -> int:
        """How often a service was made ready."""
        return sum((event["service"], event["event"]) == (service, "ready") for event in self.events())

    def processes(self) -> list[psutil.Process]:
        """The supervisor and everything below it."""
        supervisor = psutil.Process(self.process.pid)
        return [supervisor, *supervisor.children(recursive=True)]

    def workers(self, model: str, version: str = "1.0.0") -> list[psutil.Process]:
        """A version's processes that live."""
        loaded = [known for known in self.release.management.versions(model) if known.model_version == version]
        processes = []
        for worker in (worker for known in loaded for worker in known.workers if worker.pid > 0):
            with contextlib.suppress(psutil.NoSuchProcess):  # TorchServe may not have noticed yet
                processes.append(psutil.Process(worker.pid))
        return processes


def begin(settings: Settings, folder: Path, *words: str, **variables: str) -> Serving:
    """Start it; it isn't ready yet."""
    port = int(settings.gateway_file.read_text().partition("\nport = ")[2].split()[0])
    flags = ["--config", settings.config, "--store", settings.store, "--state", settings.state]
    command = [
        sys.executable,
        "-m",
        "onnxserve",
        "serve",
        *map(str, flags),
        "--gateway-file",
        str(settings.gateway_file),
        *words,
    ]
    output = folder / "serve.log"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("ONNXSERVE_")} | variables
    with output.open("ab") as stream:
        process = subprocess.Popen(
            bound(command, signal.SIGTERM), cwd=ROOT, stdout=stream, stderr=subprocess.STDOUT, env=environment
        )
    return Serving(process, settings, port, output)


@contextlib.contextmanager
def serving(settings: Settings, folder: Path, *words: str, **variables: str) -> Iterator[Serving]:
    """Until the block ends, whoever has ended it; no process of it stays."""
    server = begin(settings, folder, *words, **variables)
    processes: list[psutil.Process] = []
    try:
        server.wait_started()
        yield server
        with contextlib.suppress(psutil.Error):
            processes = server.processes()
    finally:
        if server.process.poll() is None:
            server.process.send_signal(signal.SIGTERM)
        try:
            server.process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            for process in [*server.processes()[1:], psutil.Process(server.process.pid)]:
                with contextlib.suppress(psutil.Error):
                    process.kill()
            server.process.wait(STOP_S)
            raise
    _, left = psutil.wait_procs(processes, 20)
    assert not left, left


def settings_in(folder: Path, archives: Sequence[Path], tables: str = "", state: Path | None = None) -> Settings:
    """A store with copies of archives, and a gateway.toml with free ports."""
    (folder / "store").mkdir(parents=True)
    for archive in archives:
        shutil.copy(archive, folder / "store")
    port, metrics = free_ports(2)
    traffic = folder / "gateway.toml"
    traffic.write_text(f"[listen]\nport = {port}\nmetrics_port = {metrics}\n{tables}")
    return Settings(ROOT / "config.properties", folder / "store", state or folder / "state", gateway_file=traffic)
