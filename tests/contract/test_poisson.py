"""The open-loop load generator against a real HTTP server whose behaviour is known."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar

import pytest

from onnxserve.client import Address, http_post, loopback
from onnxserve.tuning.live import Live
from onnxserve.tuning.poisson import Load


class Known(BaseHTTPRequestHandler):
    """200 with a body; /stall stops the whole server once for `stall_s`, /fail is 503, /hang hangs up."""

    protocol_version = "HTTP/1.1"
    lock = threading.Lock()
    stalled = False
    stall_s = 0.4
    bodies: ClassVar[list[bytes]] = []

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        Known.bodies.append(body)
        with Known.lock:
            if self.path == "/stall" and not Known.stalled:
                Known.stalled = True
                time.sleep(Known.stall_s)
        if self.path == "/hang":
            self.close_connection = True
            return
        self.send_response(503 if self.path == "/fail" else 200)
        self.send_header("Content-Length", "3")
        self.end_headers()
        self.wfile.write(b"yes")

    def log_message(self, *arguments):
        pass


class Server(ThreadingHTTPServer):
    request_queue_size = 256


@pytest.fixture(scope="module")
def address() -> Iterator[Address]:
    server = Server(("127.0.0.1", 0), Known)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield loopback(server.server_address[1])
    server.shutdown()
    server.server_close()


def test_every_request_is_sent_once_and_answered(address):
    Known.bodies.clear()
    sample = Load(address, [http_post("/", b"one"), http_post("/", b"two")]).run(200, 1)
    assert sample.failed == 0
    assert sample.sent == len(Known.bodies) > 100
    assert abs(Known.bodies.count(b"one") - Known.bodies.count(b"two")) <= 1
    assert 0 < sample.p50_ms <= sample.p99_ms


def test_a_stall_is_charged_to_all_who_should_have_been_sent_meanwhile(address):
    Known.stalled, Known.stall_s = False, 0.4
    sample = Load(address, [http_post("/stall", b"x")]).run(200, 1)
    # A closed loop would count one slow request of 200; 400 ms of a second are stalled here.
    assert sample.failed == 0
    assert sample.p99_ms > 300


def test_errors_and_lost_connections_count_as_failed(address):
    assert Load(address, [http_post("/fail", b"x")]).run(100, 0.5).failed > 20
    sample = Load(address, [http_post("/hang", b"x")]).run(100, 0.5)
    assert sample.failed == sample.sent > 20


def test_a_server_that_is_not_there_fails_every_request():
    sample = Load(loopback(1), [http_post("/", b"x")]).run(100, 0.3)
    assert sample.sent > 5
    assert sample.failed == sample.sent


def test_a_run_begins_after_the_queue_of_the_one_before_is_empty(address):
    Known.stalled, Known.stall_s = False, 3.0
    server = Live(address, [http_post("/stall", b"x")])
    sample = server.offer(100, 0.5)  # the stall is over before the first request counts
    assert sample.p99_ms < 2000
    assert sample.failed == 0
