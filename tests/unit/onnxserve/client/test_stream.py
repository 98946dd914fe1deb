"""Streams of rows, read and answered piece by piece."""

from __future__ import annotations

import itertools
import threading
import time

import httpx
import pytest

from onnxserve import Client, RequestFailed, RowError
from tests.helpers.handler_transport import HandlerTransport, client_of, labels
from tests.helpers.inference import table_handler
from tests.helpers.waiting import wait_for

ROWS = [[number - 4.5, 0] for number in range(10)]
LABELS = ["no"] * 5 + ["yes"] * 5


@pytest.fixture
def server() -> HandlerTransport:
    return HandlerTransport(table_handler())


def test_a_stream_reads_rows_only_as_it_is_read(server):
    taken: list[int] = []

    def endless():
        for number in itertools.count():
            taken.append(number)
            yield [number % 2, 0]

    predictions = client_of(server, rows_per_request=4, concurrency=2).stream("demo", endless())
    assert labels(list(itertools.islice(predictions, 20))) == ["no", "yes"] * 10
    assert len(taken) <= 20 + 4 * 3
    predictions.close()
    wait_for(lambda: [thread for thread in threading.enumerate() if thread.name == "predict"] == [], 5)


def test_a_stream_counts_its_rows_and_ends_with_the_first_request_that_fails(server):
    predictions = client_of(server, rows_per_request=4).stream("demo", iter([*ROWS, ["red", 0]]))
    *_, error = predictions
    assert isinstance(error, RowError)
    assert error.where == "instances[10].a"
    server.first.append(httpx.Response(404))
    with pytest.raises(RequestFailed, match="404"):
        list(client_of(server).stream("demo", ROWS))


def test_a_stream_has_several_requests_under_way(server):
    barrier = threading.Barrier(3, timeout=30)
    answer = server._answer

    def together(request: httpx.Request) -> httpx.Response:
        barrier.wait()
        response: httpx.Response = answer(request)
        return response

    client = Client("http://server", transport=httpx.MockTransport(together), rows_per_request=3, concurrency=3)
    assert labels(list(client.stream("demo", ROWS[:9]))) == LABELS[:9]


def test_whoever_leaves_a_stream_waits_for_no_answer():
    silence = threading.Event()

    def silent(request: httpx.Request) -> httpx.Response:
        if b"[0]" in request.content:
            return httpx.Response(200, json={"predictions": [{"label": "no", "score": 1.0}]})
        silence.wait(30)
        return httpx.Response(503)

    client = Client("http://server", transport=httpx.MockTransport(silent), rows_per_request=1, concurrency=3)
    predictions = client.stream("demo", ([number] for number in itertools.count()))
    assert labels([next(predictions)]) == ["no"]
    leaving_s = time.monotonic()
    predictions.close()
    assert time.monotonic() - leaving_s < 5
    silence.set()


@pytest.mark.parametrize("rows", ["good film", b"\x89PNG", {"a": 1.0}])
def test_a_row_alone_is_not_streamed_in_parts(server, rows):
    with pytest.raises(TypeError, match=r"send one row as \[row\]"):
        next(client_of(server).stream("demo", rows))
    assert server.requests == []
