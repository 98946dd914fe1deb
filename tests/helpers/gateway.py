"""A gateway on free ports, and a client of it: before an upstream whose behaviour the test decides, or TorchServe."""

from __future__ import annotations

import contextlib
import itertools
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import httpx
import msgspec
import pytest

from onnxserve.client import loopback
from onnxserve.gateway import Gateway, GatewayConfig, Model, Roles
from onnxserve.gateway.gateway import Control
from onnxserve.gateway.nginx_process import RunningGateway, start
from onnxserve.gateway.roles import roles_document
from onnxserve.torchserve import free_ports
from tests.helpers import plain_http
from tests.helpers.messages import SERVICE, message_of
from tests.helpers.torchserve import Load, Running
from tests.helpers.upstream import Upstream

DIGESTS = {"1.0": "a" * 64, "2.0": "b" * 64}
STABLE = Model(DIGESTS, "1.0")
BODY = b"[1, 2]"
JSON = {"content-type": "application/json"}
WAIT_S = 60.0
GENERATIONS = itertools.count(2)


def gateway_of(config: GatewayConfig, state: Path, port: int) -> Gateway:
    """A gateway whose run folder lies in `state`, before a server on a port."""
    return Gateway(config, state.resolve() / "run", loopback(port), loopback(port))


def put(running: RunningGateway, roles: Roles) -> None:
    """Other roles in force."""
    fresh = msgspec.structs.replace(roles, generation=next(GENERATIONS))
    Control(running.gateway.control).put(roles_document(fresh))


class Client:
    """Requests to one gateway, whose roles may move."""

    def __init__(self, running: RunningGateway) -> None:
        self.running = running
        self.gateway = running.gateway
        self.http = plain_http.client(base_url=self.gateway.url, timeout=WAIT_S)

    @property
    def url(self) -> str:
        return self.gateway.url

    @property
    def console(self) -> str:
        return f"http://127.0.0.1:{self.gateway.config.listen.metrics_port}"

    def get(self, path: str) -> httpx.Response:
        return self.http.get(path)

    def post(self, path: str = "/predictions/demo", body: bytes = BODY, **headers: str) -> httpx.Response:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.http.post(path, content=body, headers={**JSON, **named})

    def logged(self, count: int) -> list[dict[str, Any]]:
        """So many lines of the access log, which comes a little later."""
        return self._lines("access.log", count)

    def observed(self, count: int) -> list[dict[str, Any]]:
        """The same of what was observed while a canary or a shadow ran."""
        return self._lines("observations.log", count)

    def _lines(self, name: str, count: int) -> list[dict[str, Any]]:
        path, deadline = self.gateway.run / name, time.monotonic() + WAIT_S
        while len(path.read_text().splitlines()) < count and time.monotonic() < deadline:
            time.sleep(0.2)
        return [json.loads(line) for line in path.read_text().splitlines()]

    def set_roles(self, **parts: object) -> None:
        put(self.running, Roles({"demo": msgspec.structs.replace(STABLE, **parts)}))


class TorchServeClient(Client):
    """A client of a gateway before TorchServe, each of whose requests has a connection of its own."""

    def __init__(self, running: RunningGateway, server: Running) -> None:
        super().__init__(running)
        self.server = server
        limits = httpx.Limits(max_keepalive_connections=0)
        self.http = plain_http.client(base_url=self.url, timeout=WAIT_S, limits=limits)

    def load(self, model: str, body: bytes, threads: int = 4) -> Load:
        return Load(self.server, model, body, threads=threads, base=self.url)


@dataclass(frozen=True)
class Shared:
    """A gateway for all tests of a module, and the server behind it."""

    client: Client
    upstream: Upstream


@contextlib.contextmanager
def client_of(gateway: Gateway, roles: Roles) -> Iterator[Client]:
    """Start a gateway; end it and its client with the block."""
    with started(gateway, msgspec.structs.replace(roles, generation=1)) as running:
        client = Client(running)
        with client.http:
            yield client


@contextlib.contextmanager
def gateway_before(server: Running, **tables: object) -> Iterator[TorchServeClient]:
    """Start a gateway with these tables of its file before a server; it confirms every release step from now on."""
    gateway = Gateway(config(**tables), server.settings.run, server.settings.inference, server.settings.management)
    server.release.restore()
    role_store = server.release.role_store
    with started(gateway, role_store.roles) as running:
        role_store.record_start(gateway)
        client = TorchServeClient(running, server)
        try:
            with client.http:
                yield client
        finally:
            role_store.record_stop()


@contextlib.contextmanager
def started(gateway: Gateway, roles: Roles) -> Iterator[RunningGateway]:
    """Start nginx with these roles in force; end it with the block."""
    running = start(gateway, roles)
    try:
        yield running
    finally:
        running.stop()


def config(**tables: object) -> GatewayConfig:
    """On free ports, whatever `listen` says of them."""
    port, metrics = free_ports(2)
    tabled = msgspec.structs.replace(GatewayConfig(), **tables)
    return msgspec.structs.replace(
        tabled, listen=msgspec.structs.replace(tabled.listen, port=port, metrics_port=metrics)
    )


def opened(**tables: object) -> pytest.MarkDecorator:
    """The test's own gateway.toml."""
    return pytest.mark.parametrize("client", [tables], indirect=True)


def wait_answers(load: Load, version: str, more: int = 50) -> None:
    """Wait until a version has answered so many more requests of a load."""
    target, deadline = load.answers[200, version] + more, time.monotonic() + WAIT_S
    while load.answers[200, version] < target:
        assert time.monotonic() < deadline, load.answers
        time.sleep(0.02)


def call(client: Client, **metadata: str) -> grpc.StatusCode:
    """How a call ends; the server behind answers it with an empty message."""
    with grpc.insecure_channel(client.gateway.url.removeprefix("http://")) as channel:
        ask = channel.unary_unary(f"/{SERVICE}/ModelInfer")
        message = message_of("ModelInferRequest", model_name="demo").SerializeToString()
        try:
            ask(message, timeout=20, metadata=[(name.replace("_", "-"), value) for name, value in metadata.items()])
        except grpc.RpcError as error:
            code: grpc.StatusCode = error.code()
            return code
        return grpc.StatusCode.OK
