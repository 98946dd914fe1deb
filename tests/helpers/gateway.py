"""A gateway on free ports before an upstream whose behaviour the test decides, and a client of it."""

from __future__ import annotations

import contextlib
import itertools
import json
import time
from collections.abc import Callable, Iterator
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
from tests.helpers.messages import SERVICE, made
from tests.helpers.upstream import Upstream

DIGESTS = {"1.0": "a" * 64, "2.0": "b" * 64}
STABLE = Model(DIGESTS, "1.0")
BODY = b"[1, 2]"
SOON_S = 5.0
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
        self.http = httpx.Client(base_url=self.gateway.url, trust_env=False, timeout=20)

    def post(self, path: str = "/predictions/demo", body: bytes = BODY, **headers: str) -> httpx.Response:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.http.post(path, content=body, headers={"content-type": "application/json", **named})

    def logged(self, count: int) -> list[dict[str, Any]]:
        """So many lines of the access log, which comes a little later."""
        return self._lines("access.log", count)

    def observed(self, count: int) -> list[dict[str, Any]]:
        """The same of what was observed while a canary or a shadow ran."""
        return self._lines("observations.log", count)

    def _lines(self, name: str, count: int) -> list[dict[str, Any]]:
        path, deadline = self.gateway.run / name, time.monotonic() + 15
        while len(path.read_text().splitlines()) < count and time.monotonic() < deadline:
            time.sleep(0.2)
        return [json.loads(line) for line in path.read_text().splitlines()]

    def label(self, **parts: object) -> None:
        put(self.running, Roles({"demo": msgspec.structs.replace(STABLE, **parts)}))


@dataclass(frozen=True)
class Shared:
    """A gateway for all tests of a module, and the server behind it."""

    client: Client
    upstream: Upstream


@contextlib.contextmanager
def client_of(gateway: Gateway, roles: Roles) -> Iterator[Client]:
    """Start a gateway; end it and its client with the block."""
    running = start(gateway, msgspec.structs.replace(roles, generation=1))
    client = Client(running)
    try:
        yield client
    finally:
        client.http.close()
        running.stop()


def config(**tables: object) -> GatewayConfig:
    """On free ports, whatever `listen` says of them."""
    port, metrics = free_ports(2)
    made = msgspec.structs.replace(GatewayConfig(), **tables)
    return msgspec.structs.replace(made, listen=msgspec.structs.replace(made.listen, port=port, metrics_port=metrics))


def opened(**tables: object) -> pytest.MarkDecorator:
    """The test's own gateway.toml."""
    return pytest.mark.parametrize("client", [tables], indirect=True)


def soon(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SOON_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def call(client: Client, **metadata: str) -> grpc.StatusCode:
    """How a call ends; the server behind answers it with an empty message."""
    with grpc.insecure_channel(client.gateway.url.removeprefix("http://")) as channel:
        ask = channel.unary_unary(f"/{SERVICE}/ModelInfer")
        message = made("ModelInferRequest", model_name="demo").SerializeToString()
        try:
            ask(message, timeout=20, metadata=[(name.replace("_", "-"), value) for name, value in metadata.items()])
        except grpc.RpcError as error:
            code: grpc.StatusCode = error.code()
            return code
        return grpc.StatusCode.OK
