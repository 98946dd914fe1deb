"""A handler behind httpx, without a server: what a client sends is what it reads."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import httpx

from onnxserve import Client, Retry, RowError
from onnxserve_handlers.handler import Handler
from onnxserve_handlers.protocols.body import PROTOCOL
from onnxserve_handlers.protocols.v2_http import model_metadata
from tests.helpers.inference import send

NO_PAUSE = Retry(first_delay_s=0.0)


@dataclass
class HandlerTransport:
    """Answers as the gateway before the handler would; `first` are answers that come before the handler's."""

    handler: Handler
    first: deque[httpx.Response | Exception] = field(default_factory=deque)
    requests: list[httpx.Request] = field(default_factory=list)

    def transport(self) -> httpx.MockTransport:
        return httpx.MockTransport(self._answer)

    def sizes(self) -> list[int]:
        """How many rows each request had."""
        return [len(json.loads(request.content)["instances"]) for request in self.requests]

    def _answer(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        if self.first:
            answer = self.first.popleft()
            if isinstance(answer, Exception):
                raise answer
            return answer
        if request.method == "GET":
            return httpx.Response(200, json={"name": "demo", **model_metadata(self.handler.signature)})
        headers: dict[str, Any] = dict(request.headers)
        if request.url.path.startswith("/v2"):
            headers[PROTOCOL] = "v2"
        [(status, response_headers, body)] = send(self.handler, (request.content, headers))
        return httpx.Response(status, headers=response_headers, content=bytes(body))


def client_of(server: HandlerTransport, **options: Any) -> Client:
    """Return a client that doesn't pause before it asks again."""
    return Client("http://server", transport=server.transport(), **{"retry": NO_PAUSE, **options})


def labels(predictions: Iterable[Any]) -> list[str]:
    """Return the label of each prediction, and the type of each error after a mark."""
    return [f"! {answer.type}" if isinstance(answer, RowError) else answer.label for answer in predictions]
