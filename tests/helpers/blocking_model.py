"""A model that holds a batch back until it is told to go on, and writes down every batch that it is given."""

from __future__ import annotations

import contextlib
import json
import time
import zipfile
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from tests.helpers.torchserve import Running

HOLD = "hold"
WAIT_S = 60.0
CAPACITY = 40
HANDLER = f"""
import json
import pathlib
import time


class Gate:
    def initialize(self, context):
        self.folder = pathlib.Path(context.model_yaml_config["folder"])
        self.row_s = context.model_yaml_config["row_s"]

    def handle(self, data, context):
        rows = [bytes(item["body"]).decode() for item in data]
        with (self.folder / "rows.jsonl").open("a") as log:
            log.write(json.dumps(rows) + "\\n")
        deadline = time.monotonic() + {WAIT_S}
        while "{HOLD}" in rows and not (self.folder / "go").exists() and time.monotonic() < deadline:
            time.sleep(0.005)
        time.sleep(self.row_s * len(rows))
        return rows
"""


def write_archive(path: Path, name: str, folder: Path, batch: int = 4, row_s: float = 0.0, **changes: object) -> Path:
    """The archive of such a model, with a queue for CAPACITY requests; each row takes `row_s` seconds.

    `changes` are those of the configuration.
    """
    folder.mkdir()
    manifest = {
        "runtime": "python",
        "model": {
            "modelName": name,
            "modelVersion": "1.0.0",
            "handler": "gate.py",
            "configFile": "model-config.yaml",
        },
    }
    # TorchServe ends a batch whose collecting took longer than the delay, which 1 ms is on a busy machine.
    config: dict[str, object] = {"minWorkers": 1, "maxWorkers": 1, "batchSize": batch, "maxBatchDelay": 100}
    config |= {"responseTimeout": 120, "startupTimeout": 60, "jobQueueSize": CAPACITY, "maxRetryTimeoutInSec": 60}
    config |= changes
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("MAR-INF/MANIFEST.json", json.dumps(manifest))
        archive.writestr("gate.py", HANDLER)
        archive.writestr("model-config.yaml", json.dumps({**config, "folder": str(folder), "row_s": row_s}))
    return path


def wait(what: str, done: Callable[[], bool]) -> None:
    """Poll until `done`, or fail after the deadline."""
    deadline = time.monotonic() + WAIT_S
    while not done():
        assert time.monotonic() < deadline, what
        time.sleep(0.01)


@dataclass
class Gate:
    """One such model on a running server."""

    server: Running
    name: str
    folder: Path
    client: httpx.Client
    pool: ThreadPoolExecutor

    def send(self, body: str, client: str = "", **headers: object) -> Future[httpx.Response]:
        """A request that is under way; `priority="batch"` becomes the header `x-onnxserve-priority`."""
        named = {f"x-onnxserve-{name}": str(value) for name, value in {"client": client, **headers}.items()}
        return self.pool.submit(self.client.post, f"/predictions/{self.name}", content=body, headers=named)

    def batching(self) -> dict[str, Any]:
        """What the plugin says of the model's queue."""
        with self.server.settings.management.client() as client:
            models: list[dict[str, Any]] = client.get("/batching").json()["models"]
        return next(model for model in models if model["model"] == self.name)

    def wait_queued(self, requests: int) -> None:
        """Wait until so many requests are in the queue."""
        wait(f"{requests} queued", lambda: self.batching()["queued"] == requests)

    def queue(self, count: int, body: str, client: str = "", **headers: object) -> list[Future[httpx.Response]]:
        """So many requests, one after the other, that are in the queue."""
        before = self.batching()["queued"]
        futures = []
        for number in range(count):
            futures.append(self.send(f"{body}{number}", client, **headers))
            self.wait_queued(before + number + 1)
        return futures

    def batches(self) -> list[list[str]]:
        """All batches that the model was given, in their order."""
        log = self.folder / "rows.jsonl"
        return [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []

    def rows(self) -> list[str]:
        """All rows that the model was given, in their order."""
        return [row for batch in self.batches() for row in batch]

    @contextlib.contextmanager
    def held(self) -> Iterator[Future[httpx.Response]]:
        """The worker is busy until the block ends; what was given before is forgotten."""
        (self.folder / "go").unlink(missing_ok=True)
        (self.folder / "rows.jsonl").unlink(missing_ok=True)
        request = self.send(HOLD)
        try:
            wait("the worker is busy", lambda: HOLD in self.rows())
            yield request
        finally:
            (self.folder / "go").touch()


@contextlib.contextmanager
def gate_of(server: Running, name: str, folder: Path) -> Iterator[Gate]:
    """A model that `write_archive` made, on a server that serves it."""
    limits = httpx.Limits(max_connections=2 * CAPACITY)
    transport = server.settings.inference.transport(limits=limits)
    address = server.settings.inference.url
    with (
        httpx.Client(base_url=address, transport=transport, timeout=WAIT_S, trust_env=False) as client,
        ThreadPoolExecutor(2 * CAPACITY) as pool,
    ):
        yield Gate(server, name, folder, client, pool)
