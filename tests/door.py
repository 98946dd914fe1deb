"""An edge on free ports before an upstream whose behaviour the test decides, and a client of it."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Iterator
from typing import Any

import httpx
import msgspec
import pytest

from onnxserve.config import free_ports
from onnxserve.edge import Edge, Intent, Labels, Model
from onnxserve.edge.change import change
from onnxserve.edge.intent import Listen
from onnxserve.edge.processes import Door, start

DIGESTS = {"1.0": "a" * 64, "2.0": "b" * 64}
STABLE = Model(DIGESTS, "1.0")
BODY = b"[1, 2]"


class Client:
    """Requests to one edge, whose labels may move."""

    def __init__(self, door: Door) -> None:
        self.door = door
        self.http = httpx.Client(base_url=door.edge.url, trust_env=False, timeout=20)

    def post(self, path: str = "/predictions/demo", body: bytes = BODY, **headers: str) -> httpx.Response:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.http.post(path, content=body, headers={"content-type": "application/json", **named})

    def logged(self, count: int) -> list[dict[str, Any]]:
        """So many lines of the access log, which comes a little later."""
        path, deadline = self.door.edge.run / "access.log", time.monotonic() + 15
        while len(path.read_text().splitlines()) < count and time.monotonic() < deadline:
            time.sleep(0.2)
        return [json.loads(line) for line in path.read_text().splitlines()]

    def label(self, **parts: object) -> None:
        change(self.door.edge, Labels({"demo": msgspec.structs.replace(STABLE, **parts)}))


@contextlib.contextmanager
def client_of(edge: Edge, labels: Labels) -> Iterator[Client]:
    """Start an edge; end it and its client with the block."""
    door = start(edge, labels)
    client = Client(door)
    try:
        yield client
    finally:
        client.http.close()
        door.stop()


def intent(**tables: object) -> Intent:
    port, metrics = free_ports(2)
    return msgspec.structs.replace(Intent(listen=Listen(port=port, metrics_port=metrics)), **tables)


def opened(**tables: object) -> pytest.MarkDecorator:
    """The test's own traffic.toml."""
    return pytest.mark.parametrize("client", [tables], indirect=True)
