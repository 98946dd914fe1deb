"""The HTTP server on a unix socket: a client that leaves is no error."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from onnxserve.processes.http_socket import RunningServer, SocketHandler, SocketServer

WAIT_S = 30


class Server(SocketServer):
    """A server that answers once its client has left."""

    def __init__(self, path: Path, handler: type[SocketHandler]) -> None:
        super().__init__(str(path), handler)
        self.left, self.ended = threading.Event(), threading.Event()

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        super().process_request_thread(request, client_address)
        self.ended.set()


class Late(SocketHandler):
    """Answers once the client has left."""

    server: Server

    def do_GET(self) -> None:  # noqa: N802 - http.server calls it
        assert self.server.left.wait(WAIT_S)
        self.send_content(200, "text/plain", b"too late")


class Failing(SocketHandler):
    """Fails."""

    def do_GET(self) -> None:  # noqa: N802 - http.server calls it
        raise ValueError("a fault of ours")


@contextmanager
def left_early(path: Path, handler: type[SocketHandler]) -> Iterator[Server]:
    """Send a request, and leave without waiting for its answer."""
    server = Server(path, handler)
    running = RunningServer(server, "test")
    try:
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(path))
            client.sendall(b"GET / HTTP/1.0\r\n\r\n")
        server.left.set()
        assert server.ended.wait(WAIT_S)
        yield server
    finally:
        running.stop()


def test_a_client_that_leaves_before_its_answer_leaves_no_traceback(tmp_path, capsys):
    with left_early(tmp_path / "s", Late):
        assert capsys.readouterr().err == ""


def test_a_fault_of_a_handler_is_reported(tmp_path, capsys):
    with left_early(tmp_path / "s", Failing):
        assert "a fault of ours" in capsys.readouterr().err
