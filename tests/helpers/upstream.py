"""A model server whose behaviour the test decides: what the gateway sees of TorchServe, without Java."""

from __future__ import annotations

import base64
import contextlib
import json
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import MappingProxyType
from typing import Any

from onnxserve_handlers.protocols.gateway_forms import encode_predictions
from onnxserve_handlers.tasks import TaskHooks
from tests.helpers.messages import message_of

Answer = tuple[int, bytes]
TENSOR = {"datatype": "FP32", "shape": [-1, 2]}
V2 = {
    "platform": "onnxruntime_onnx",
    "inputs": [{"name": "features", **TENSOR}],
    "outputs": [{"name": "output_0", **TENSOR}],
}
METADATA = base64.b64encode(message_of("ModelMetadataResponse", **V2).SerializeToString()).decode()


@dataclass
class ReceivedRequest:
    """One request for a prediction that the gateway sent on."""

    path: str
    headers: dict[str, str]
    body: bytes


def versioned(path: str) -> Answer:
    """As a handler answers: the version that was asked."""
    model, version = path.split("/")[2:4]
    return 200, json.dumps({"predictions": [{"label": "x"}], "model": model, "version": version}).encode()


def noted(content: bytes) -> str:
    """What a handler says beside such an answer."""
    try:
        return encode_predictions(json.loads(content)["predictions"], TaskHooks())
    except (ValueError, KeyError, TypeError):
        return "[]"


@dataclass
class Upstream:
    """`answer(path, body)` decides; `requests` has those for predictions, `management_paths` those for management."""

    answer: Callable[[str, bytes], Answer] = field(default=lambda path, _: versioned(path))
    requests: list[ReceivedRequest] = field(default_factory=list)
    management_paths: list[str] = field(default_factory=list)
    ready: bool = True
    port: int = 0
    delay_s: float = 0.0
    describes_s: float = 0.0  # how long it takes to describe itself
    headers: dict[str, str] = field(default_factory=dict)  # of every answer, beside the usual ones

    def forget(self) -> None:
        """Behave as at first, and forget what came."""
        fresh = Upstream(port=self.port)
        for name in ("answer", "requests", "management_paths", "ready", "delay_s", "describes_s", "headers"):
            setattr(self, name, getattr(fresh, name))

    def paths(self) -> list[str]:
        return [request.path for request in self.requests]


def answer_management(upstream: Upstream, path: str) -> Answer:
    """The management API's part that nginx asks."""
    if path.startswith("/models?"):
        return 200, json.dumps({"models": [{"modelName": "demo", "modelUrl": "demo.mar"}]}).encode()
    status = "READY" if upstream.ready else "UNLOADED"
    version: dict[str, Any] = {"minWorkers": 1, "workers": [{"id": "9000", "status": status}]}
    if "customized" in path:
        openapi = {
            "row": {"type": "array"},
            "prediction": {"type": "object"},
            "max_rows": 64,
            "errors": {"422": "A row."},
        }
        about = {"signature": {"version": "1.0"}, "v2": V2, "v2_message": METADATA, "openapi": openapi}
        version["customizedMetadata"] = about
    return 200, json.dumps([version]).encode()


@contextlib.contextmanager
def listening(upstream: Upstream, tls: tuple[Path, Path] | None = None) -> Iterator[Upstream]:
    """Serve on a free port until the block ends; `tls` are a certificate and its key."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1  # one packet an answer: a second one would wait for the first one's receipt

        def do_POST(self) -> None:
            chunked = self.headers.get("transfer-encoding") == "chunked"
            body = self._chunks() if chunked else self.rfile.read(int(self.headers.get("content-length", 0)))
            answer = upstream.answer  # a test may replace it once it sees the request
            upstream.requests.append(ReceivedRequest(self.path, {k.lower(): v for k, v in self.headers.items()}, body))
            time.sleep(upstream.delay_s)
            status, content = answer(self.path, body)
            observed = self.headers.get("x-onnxserve-observe") and status == 200
            headers = {"x-onnxserve-said": noted(content)} if observed else {}
            if observed and self.headers.get("x-onnxserve-pair"):  # a copy, of one row
                headers["x-onnxserve-rows"] = f"[{body.decode('ascii', 'backslashreplace')}]"
            self._send(status, content, headers)

        def _chunks(self) -> bytes:
            body = b""
            while size := int(self.rfile.readline(), 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            return body

        def do_GET(self) -> None:
            upstream.management_paths.append(self.path)
            time.sleep(upstream.describes_s)
            self._send(*answer_management(upstream, self.path))

        def _send(self, status: int, content: bytes, headers: Mapping[str, str] = MappingProxyType({})) -> None:
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("x-request-id", "the server's own")
            self.send_header("cache-control", "no-cache; no-store, must-revalidate, private")
            for name, value in {**headers, **upstream.headers}.items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        request_queue_size = 256
        daemon_threads = True

    with Server(("127.0.0.1", upstream.port), Handler) as server:
        upstream.port = server.server_address[1]
        if tls:
            context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            context.load_cert_chain(*tls)
            server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        try:
            yield upstream
        finally:
            server.shutdown()
