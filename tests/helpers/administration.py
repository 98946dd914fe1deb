"""The console's service beside a gateway, with a file of keys."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from onnxserve.admin import Administration, start_admin
from onnxserve.gateway.gateway import ADMIN
from onnxserve.gateway.keys import Key, add
from onnxserve.release import History, ReleaseService
from tests.helpers import plain_http
from tests.helpers.gateway import Client


@dataclass
class Administered:
    """The service of a gateway's console; `folder` has what it reads beside archives."""

    console: str
    folder: Path

    @property
    def keys(self) -> Path:
        return self.folder / "keys.json"

    @property
    def windows(self) -> Path:
        return self.folder / "metrics"

    @property
    def predictions(self) -> Path:
        return self.folder / "predictions"

    def key(self, *scopes: Any, client: str = "ops", models: tuple[str, ...] = ("*",)) -> str:
        """Make a key."""
        return add(self.keys, Key(client, models, scopes=scopes or ("operate",)))

    def get(self, path: str, key: str = "", **query: str) -> httpx.Response:
        return plain_http.get(
            f"{self.console}/console/api/{path}", params=query, headers={"x-api-key": key}, timeout=30
        )

    def post(self, path: str, document: Any, key: str = "", **headers: str) -> httpx.Response:
        """Send JSON as the console's page does; `headers` take the place of its own."""
        own = {"x-api-key": key, "origin": self.console, "sec-fetch-site": "same-origin"}
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        url = f"{self.console}/console/api/{path}"
        return plain_http.post(url, json=document, headers={**own, **named}, timeout=60)


@contextlib.contextmanager
def administered(client: Client, steps: ReleaseService, folder: Path, *, logged: bool = True) -> Iterator[Administered]:
    """Start the service with release steps, whose history names the operator; end it with the block."""
    service = Administered(client.console, folder)
    for path in (service.windows, service.predictions):
        path.mkdir(parents=True, exist_ok=True)
    state = steps.history.path.parent

    def release(by: str) -> ReleaseService:
        return ReleaseService(steps.management, History(state, by), steps.stores, steps.role_store)

    log = service.predictions if logged else None
    running = start_admin(client.gateway.run / ADMIN, Administration(service.keys, release, service.windows, log))
    try:
        yield service
    finally:
        running.stop()
