"""Serves the archive beside this file: `pip install -r requirements.txt`, then `uvicorn server:app`.

`ARCHIVE` names another one. `POST /predictions/NAME` and `POST /v2/models/NAME/infer` answer as TorchServe with the
same archive does: requests that come while a batch runs make the next batch, and each gets its own status. An ASGI
application (https://asgi.readthedocs.io/en/latest/specs/www.html) of the archive's own handlers and the standard
library.
"""

from __future__ import annotations

import asyncio
import atexit
import json
import os
import shutil
import sys
import tempfile
import zipfile
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from pathlib import Path
from typing import Any

Headers = dict[str, str]
Answer = tuple[int, Headers, bytes]
Send = Callable[[dict[str, Any]], Awaitable[None]]
JSON = {"content-type": "application/json"}


class Model:
    """One archive, loaded and proven by its golden rows; batches run in a thread of their own."""

    def __init__(self, archive: Path) -> None:
        folder = Path(tempfile.mkdtemp(prefix="archive-"))
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        with zipfile.ZipFile(archive) as opened:
            opened.extractall(folder)  # names were checked when it was converted
        package = next(folder.glob("handlers_*")).name
        sys.path.insert(0, str(folder))
        self._offline = import_module(f"{package}.offline")
        self.handler, _ = self._offline.loaded(folder)
        self.folder, self.signature = folder, self.handler.signature
        self._waiting: list[tuple[bytes, Headers, asyncio.Future[Answer]]] = []
        self._thread = ThreadPoolExecutor(1, "model")
        self._running: asyncio.Task[None] | None = None

    async def ask(self, body: bytes, headers: Headers) -> Answer:
        """Return one request's status, headers and body, once a batch with it has run."""
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting.append((body, headers, future))
        if self._running is None:
            self._running = asyncio.create_task(self._run())
        return await future

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        while self._waiting:
            batch, self._waiting = self._waiting, []
            try:
                answers = await loop.run_in_executor(self._thread, self._answers, [request[:2] for request in batch])
            except Exception as error:  # noqa: BLE001 - nobody may wait for ever
                answers = [(500, JSON, json.dumps({"error": type(error).__name__}).encode())] * len(batch)
            for (_, _, future), answer in zip(batch, answers, strict=True):
                if not future.cancelled():
                    future.set_result(answer)
        self._running = None

    def _answers(self, requests: list[tuple[bytes, Headers]]) -> list[Answer]:
        context = self._offline.OfflineContext(self.folder)
        context.headers = [headers for _, headers in requests]
        bodies = self.handler.handle([{"body": bytearray(body)} for body, _ in requests], context)
        answers = []
        for at, body in enumerate(bodies):
            kind = context.content_types.get(at, "application/json")
            headers = {"content-type": kind, **context.response_headers.get(at, {})}
            answers.append((context.statuses.get(at, (200, ""))[0], headers, body))
        return answers


class App:
    """Paths of one model, with and without its version."""

    def __init__(self, model: Model) -> None:
        self.model, signature = model, model.signature
        self.predict_paths = {f"/predictions/{signature.model}", f"/predictions/{signature.model}/{signature.version}"}
        models = f"/v2/models/{signature.model}"
        self.predict_paths |= {f"{models}/infer", f"{models}/versions/{signature.version}/infer"}
        self.ready = {"/v2/health/ready", "/v2/health/live", f"{models}/ready"}

    async def __call__(self, scope: Any, receive: Callable[[], Awaitable[Any]], send: Send) -> None:
        """Answer one HTTP connection by ASGI's events; other kinds of connections are ignored."""
        if scope["type"] != "http":
            return
        body, more, most = b"", True, self.model.signature.input.max_bytes
        while more:
            event = await receive()
            if len(body) <= most:  # one byte too many is refused as ten thousand are
                body += event.get("body", b"")
            more = event.get("more_body", False)
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        await respond(send, *await self.answer(scope["method"], scope["path"], body, headers))

    async def answer(self, method: str, path: str, body: bytes, headers: Headers) -> Answer:
        """Return status, headers and body for a request; 404 for an unknown path."""
        if method == "POST" and path in self.predict_paths:
            return await self.model.ask(body, headers)
        if method == "GET" and path in self.ready:
            return 200, JSON, b'{"ready": true}'
        reason = {"type": "not_found", "reason": "there is no such model, version or path", "where": "server"}
        return 404, JSON, json.dumps({"error": reason}).encode()


async def respond(send: Send, status: int, headers: Headers, body: bytes) -> None:
    """Send a response as ASGI's two events."""
    pairs = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
    pairs.append((b"content-length", str(len(body)).encode()))
    await send({"type": "http.response.start", "status": status, "headers": pairs})
    await send({"type": "http.response.body", "body": body})


def archive_path() -> Path:
    """Return the archive that `ARCHIVE` names, or the only one beside this file."""
    if named := os.environ.get("ARCHIVE", ""):
        return Path(named)
    [only] = Path(__file__).parent.glob("*.mar")
    return only


app = App(Model(archive_path()))
