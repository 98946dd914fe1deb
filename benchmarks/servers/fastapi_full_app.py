"""FastAPI with a gateway's features: keys by digest, row limits, rate limits per client, log, counters, compression.

The middleware is plain ASGI, which Starlette's documentation recommends for speed. Each worker process has its own
token buckets.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import time
import uuid
from typing import Annotated, Any

from fastapi import FastAPI, Response
from fastapi.middleware.gzip import GZipMiddleware
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Histogram, generate_latest, multiprocess
from pydantic import BaseModel, ConfigDict, Field, FiniteFloat
from starlette.responses import JSONResponse
from task import FOLDER, TASK, Task

COLUMNS = len(json.loads((FOLDER / "signature.json").read_text())["input"]["columns"])
KEYS = {os.environ["BENCH_KEY_DIGEST"]: "bench"}  # clients by the SHA-256 of their key
PER_SECOND, BURST = 1_000_000.0, 1_000_000.0
ANSWERS = Counter("answers", "Answers by client and status.", ["client", "status"])
SECONDS = Histogram("answer_seconds", "Time of an answer.")

log = logging.getLogger("access")
log.setLevel(logging.INFO)
log.propagate = False
log.addHandler(logging.FileHandler(os.environ["BENCH_ACCESS_LOG"]))


class Row(BaseModel):
    """Rejects unknown fields."""

    model_config = ConfigDict(extra="forbid")


class Segment(Row):
    """A table row."""

    features: Annotated[list[FiniteFloat], Field(min_length=COLUMNS, max_length=COLUMNS)]


class Sentiment(Row):
    """A text."""

    text: Annotated[str, Field(min_length=1, max_length=16384)]


class Digits(Row):
    """An image in base64."""

    image: Annotated[str, Field(min_length=1, max_length=4194304)]


class Bucket:
    """A client's token bucket, refilled at `PER_SECOND`."""

    def __init__(self) -> None:
        self.tokens, self.filled = BURST, time.monotonic()

    def take(self) -> bool:
        """Take a token; return False if there is none."""
        now = time.monotonic()
        self.tokens = min(BURST, self.tokens + (now - self.filled) * PER_SECOND)
        self.filled = now
        if self.tokens < 1:
            return False
        self.tokens -= 1
        return True


class Guard:
    """Middleware for authentication, rate limits, log and counters."""

    def __init__(self, app: Any) -> None:
        self.app, self.buckets = app, dict[str, Bucket]()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Reject or forward a request; count and log it."""
        if scope["type"] != "http" or scope["path"] == "/metrics":
            await self.app(scope, receive, send)
            return
        start, status = time.perf_counter(), 500
        request_id = str(uuid.uuid4())

        async def counted(message: Any) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"].append((b"x-request-id", request_id.encode()))
            await send(message)

        client = self.client(scope["headers"])
        try:
            await self.judged(client)(scope, receive, counted)
        finally:
            seconds = time.perf_counter() - start
            ANSWERS.labels(client or "unknown", status).inc()
            SECONDS.observe(seconds)
            line = {"time": time.time(), "request_id": request_id, "client": client, "method": scope["method"]}
            log.info(json.dumps(line | {"path": scope["path"], "status": status, "ms": round(1000 * seconds, 3)}))

    def client(self, headers: list[tuple[bytes, bytes]]) -> str | None:
        """Return the client that owns the request's key."""
        key = next((value for name, value in headers if name == b"x-api-key"), b"")
        return KEYS.get(hashlib.sha256(key).hexdigest())

    def judged(self, client: str | None) -> Any:
        """Return the application, or a refusal."""
        if client is None:
            return JSONResponse({"error": "a key is needed: x-api-key"}, 401)
        if not self.buckets.setdefault(client, Bucket()).take():
            return JSONResponse({"error": "too many requests"}, 429, {"Retry-After": "1"})
        return self.app


app = FastAPI()
app.add_middleware(Guard)
app.add_middleware(GZipMiddleware, minimum_size=256)
task = Task()


async def predict(row: Any) -> dict[str, Any]:
    """Return label and score."""
    return task.predict([row.model_dump()])[0]


@app.get("/metrics")
def metrics() -> Response:
    """Return the counters of both workers."""
    registry = CollectorRegistry()
    multiprocess.MultiProcessCollector(registry)
    return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)


predict.__annotations__["row"] = {"segment": Segment, "sentiment": Sentiment, "digits": Digits}[TASK]
app.post("/predict")(predict)
