"""The one request that a command sends."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from onnxserve.cli.predict import ask
from onnxserve.client import loopback
from onnxserve.torchserve import free_ports


class Answering(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b'{"predictions": [1]}')

    def log_message(self, *_: object) -> None:
        """Print nothing."""


def test_no_proxy_of_the_environment_gets_the_key(monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{free_ports(1)[0]}")  # nobody is there
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    with ThreadingHTTPServer(("127.0.0.1", 0), Answering) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            answer = ask(loopback(server.server_port), "demo", b"[]", {"x-api-key": "geheim"}, timeout_s=10)
        finally:
            server.shutdown()
    assert answer == {"predictions": [1]}
