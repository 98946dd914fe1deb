"""A request of the client that blocks takes no more time than its call has, whatever the server does."""

from __future__ import annotations

import contextlib
import socket
import time

import pytest

from onnxserve import Client, RequestFailed
from onnxserve.client.http_exchange import LEAST_S
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
