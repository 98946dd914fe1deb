"""A request of the client that blocks takes no more time than its call has, whatever the server does."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from onnxserve import Client, RequestFailed
from onnxserve.client.phase_time import LEAST_S
from tests.helpers.handler_transport import HandlerTransport, client_of
from tests.helpers.inference import table_handler
from tests.helpers.waiting import wait_for

ROWS = [[-1, 0], [1, 0]]
CALL_S = 2.0  # each phase of a request alone would take it again


@pytest.fixture
def server() -> HandlerTransport:
    return HandlerTransport(table_handler())


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_server_that_accepts_and_says_nothing_takes_no_more_time_than_the_call_has(scheme):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"{scheme}://127.0.0.1:{silent.getsockname()[1]}"
        start_s = time.monotonic()
        with Client(url) as client, pytest.raises(RequestFailed):
            client.predict("demo", ROWS, timeout_s=CALL_S)
        assert time.monotonic() - start_s < 2 * CALL_S


def test_a_socket_whose_queue_is_full_takes_no_more_time_than_the_call_has(tmp_path):
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX) as busy, contextlib.ExitStack() as waiting:
        busy.bind(str(path))
        busy.listen(0)
        for _ in range(2):  # as many as the kernel lets wait
            client = waiting.enter_context(socket.socket(socket.AF_UNIX))
            client.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                client.connect(str(path))
        start_s = time.monotonic()
        with Client(f"unix:{path}") as asking, pytest.raises(RequestFailed):
            asking.predict("demo", ROWS, timeout_s=CALL_S)
        assert time.monotonic() - start_s < 2 * CALL_S


HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"
DRIPS = {
    "head": HEAD + b"x-more: ",
    "length of a chunk": HEAD + b"transfer-encoding: chunked\r\n\r\n",
    "body": HEAD + b"content-length: 1000000\r\n\r\n",
}


@contextlib.contextmanager
def answering(answer: Callable[[socket.socket], None]) -> Iterator[str]:
    """The URL of a server that does this with each connection, until its client is gone."""

    def serve() -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listener.accept()
                with connection, contextlib.suppress(OSError):
                    answer(connection)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=serve, daemon=True).start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


@pytest.mark.parametrize("begin", DRIPS.values(), ids=DRIPS.keys())
def test_a_server_that_sends_byte_by_byte_takes_no_more_time_than_the_call_has(begin):
    def drip(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(begin)
        while True:
            connection.sendall(b"0")
            time.sleep(0.05)

    with answering(drip) as url, Client(url) as client:
        start_s = time.monotonic()
        with pytest.raises(RequestFailed):
            client.predict("demo", ROWS, timeout_s=CALL_S)
        assert time.monotonic() - start_s < 2 * CALL_S


def test_a_server_that_reads_slowly_takes_no_more_time_than_the_call_has():
    def read(connection: socket.socket) -> None:
        while connection.recv(20_000):
            time.sleep(0.05)

    rows = np.zeros((1_000_000, 2), np.float32)
    with answering(read) as url, Client(url, rows_per_request=len(rows)) as client:
        start_s = time.monotonic()
        with pytest.raises(RequestFailed):
            client.predict("demo", rows, timeout_s=CALL_S)
        assert time.monotonic() - start_s < 2 * CALL_S


def test_a_name_that_nobody_finds_takes_no_more_time_than_the_call_has(monkeypatch):
    whole, searched = socket.getaddrinfo, threading.Event()

    def search(host: str, *arguments: Any, **options: Any) -> Any:
        if host == "slow.test" and not options.get("flags"):
            searched.wait(60)
        return whole(host, *arguments, **options)

    monkeypatch.setattr(socket, "getaddrinfo", search)
    start_s = time.monotonic()
    with Client("http://slow.test") as client, pytest.raises(RequestFailed, match=r"slow\.test isn't found in time"):
        client.predict("demo", ROWS, timeout_s=CALL_S)
    assert time.monotonic() - start_s < 2 * CALL_S
    searched.set()


def test_the_addresses_of_a_name_are_tried_in_turn(monkeypatch):
    whole, tried = socket.getaddrinfo, list[str]()

    def search(host: str, *arguments: Any, **options: Any) -> Any:
        tried.append(host)
        if host != "two.test":
            return whole(host, *arguments, **options)
        if options.get("flags"):
            raise socket.gaierror
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 0)) for address in ("127.0.0.2", "127.0.0.1")]

    monkeypatch.setattr(socket, "getaddrinfo", search)
    with answering(lambda connection: connection.sendall(HEAD + b"content-length: 2\r\n\r\n{}")) as url:
        port = url.rpartition(":")[2]
        with Client(f"http://two.test:{port}") as client:
            assert client.openapi() == b"{}"
    assert {"127.0.0.2", "127.0.0.1"} <= set(tried)


def test_each_phase_of_a_request_may_take_the_time_that_is_then_left(server):
    client_of(server).predict("demo", ROWS, timeout_s=30)
    timeout = server.requests[0].extensions["timeout"]
    assert 15 < timeout["read"] <= 30
    assert timeout["connect"] == 5
    client_of(server).predict("demo", ROWS, timeout_s=CALL_S)
    timeout = server.requests[1].extensions["timeout"]
    before = timeout.get("read", None)
    assert timeout.get("connect", None) <= before / 2  # TLS may take as long again
    wait_for(lambda: timeout["read"] < before / 2)
    wait_for(lambda: timeout["read"] == LEAST_S)
