"""The gateway before a real TorchServe that listens on sockets, as `onnxserve serve` starts both."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from dataclasses import dataclass

import httpx
import msgspec

from onnxserve.gateway import Gateway, GatewayConfig
from onnxserve.gateway.config import Listen
from onnxserve.gateway.nginx_process import RunningGateway, start
from onnxserve.torchserve import free_ports
from tests.e2e.server import Load, Running

WAIT_S = 60
JSON = {"Content-Type": "application/json"}


@dataclass(frozen=True)
class Fronted:
    """A server and the gateway before it."""

    server: Running
    running: RunningGateway

    @property
    def url(self) -> str:
        return self.running.gateway.url

    @property
    def console(self) -> str:
        return f"http://127.0.0.1:{self.running.gateway.config.listen.metrics_port}"

    def get(self, path: str) -> httpx.Response:
        return httpx.get(f"{self.url}{path}", timeout=30, trust_env=False)

    def post(self, path: str, body: bytes, **headers: str) -> httpx.Response:
        named = {**JSON, **{name.replace("_", "-"): value for name, value in headers.items()}}
        return httpx.post(f"{self.url}{path}", content=body, headers=named, timeout=60, trust_env=False)

    def load(self, model: str, body: bytes, threads: int = 4) -> Load:
        return Load(self.server, model, body, threads=threads, base=self.url)


def wait_answers(load: Load, version: str, more: int = 50) -> None:
    """Wait until a version has answered so many more requests of a load."""
    wanted, deadline = load.seen[200, version] + more, time.monotonic() + WAIT_S
    while load.seen[200, version] < wanted:
        assert time.monotonic() < deadline, load.seen
        time.sleep(0.02)


@contextlib.contextmanager
def fronted_by(server: Running, **tables: object) -> Iterator[Fronted]:
    """Start a gateway with these tables of its file before a server; from now on it confirms every release step."""
    port, metrics = free_ports(2)
    listen = Listen(port=port, metrics_port=metrics)
    config = msgspec.structs.replace(GatewayConfig(listen=listen), **tables)
    gateway = Gateway(config, server.settings.run, server.settings.inference, server.settings.management)
    server.release.restore()
    role_store = server.release.role_store
    running = start(gateway, role_store.roles)
    role_store.started(gateway)
    try:
        yield Fronted(server, running)
    finally:
        role_store.stopped()
        running.stop()
