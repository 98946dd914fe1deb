"""A real TorchServe, started with our configuration and ended by its own process group."""

from __future__ import annotations

import contextlib
import shutil
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx

from onnxserve.client import Address, parse_address
from onnxserve.errors import ServerError
from onnxserve.gateway import RoleStore
from onnxserve.release import History, ReleaseService
from onnxserve.supervisor import wait_ready
from onnxserve.supervisor.readiness import join_versions
from onnxserve.torchserve import Management, Server, Settings, start_server, with_free_ports

ROOT = Path(__file__).parents[2]
READY_S = 150


@dataclass(frozen=True)
class Running:
    """A ready server."""

    settings: Settings
    release: ReleaseService

    def post(self, path: str, body: bytes, kind: str = "application/json") -> httpx.Response:
        with self.settings.inference.client(60, {"Content-Type": kind}) as client:
            return client.post(f"/predictions/{path}", content=body)

    def get(self, address: Address, path: str) -> httpx.Response:
        with address.client(60) as client:
            return client.get(path)


def wait_until_ready(server: Server, settings: Settings, timeout_s: float = READY_S) -> None:
    """Wait for a worker of every version of the store; ServerError for those that can't be loaded."""
    if failed := wait_ready(server, Management(settings.management), (), timeout_s):
        raise ServerError(f"{join_versions(failed)} can't be loaded" + server.reason(), where=str(server.log))


def stock_config(folder: Path) -> Path:
    """Our configuration with TorchServe's own worker."""
    text = (ROOT / "config.properties").read_text()
    assert "-Dmodel_server_home=torchserve/worker " in text
    assert "blacklist_env_vars=PYTHONPATH\n" in text
    text = (
        text.replace("blacklist_env_vars=PYTHONPATH\n", "")
        .replace("-Dmodel_server_home=torchserve/worker ", "")
        .replace("file:torchserve/log4j2.xml", f"file:{ROOT}/torchserve/log4j2.xml")
    )
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "config.properties"
    path.write_text(text.replace("metrics_config=", f"metrics_config={ROOT}/"))
    return path


@contextlib.contextmanager
def running(
    folder: Path, archives: list[Path], config: Path = ROOT / "config.properties", *, plain: bool = False
) -> Iterator[Running]:
    """A server with copies of these archives, everything under `folder`; if `plain`, on ports of loopback."""
    store = folder / "store"
    store.mkdir(parents=True)
    for archive in archives:
        shutil.copy(archive, store)
    settings = Settings(config, store, folder / "state")
    settings = with_free_ports(settings) if plain else settings
    server = start_server(settings)
    try:
        wait_until_ready(server, settings)
        state = settings.state
        yield Running(
            settings, ReleaseService(Management(settings.management), History(state), store, RoleStore(state))
        )
    finally:
        server.stop()


@dataclass
class Load:
    """Requests from some threads until the block ends; `answers` counts (status, version)."""

    server: Running
    model: str
    body: bytes
    threads: int = 4
    base: str = ""  # TorchServe itself if it is empty
    answers: Counter[tuple[int, str]] = field(default_factory=Counter)
    _stop: threading.Event = field(default_factory=threading.Event)
    _workers: list[threading.Thread] = field(default_factory=list)

    def __enter__(self) -> Self:
        self._workers = [threading.Thread(target=self._run, daemon=True) for _ in range(self.threads)]
        for worker in self._workers:
            worker.start()
        time.sleep(0.5)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        time.sleep(0.5)
        self._stop.set()
        for worker in self._workers:
            worker.join(60)

    def _run(self) -> None:
        address = parse_address(self.base) if self.base else self.server.settings.inference
        with address.client(60, {"Content-Type": "application/json"}) as client:
            while not self._stop.is_set():
                try:
                    response = client.post(f"/predictions/{self.model}", content=self.body)
                    self.answers[response.status_code, response.json().get("version", "")] += 1
                except httpx.HTTPError as error:
                    self.answers[0, type(error).__name__] += 1
