"""Frames of HTTP/2 that no client sends."""

from __future__ import annotations

import pytest

from tests.helpers.gateway import Client, Shared
from tests.helpers.http2 import (
    CONTINUATION,
    DATA,
    END_HEADERS,
    END_STREAM,
    HEADERS,
    encoded,
    frame,
    http2_connection,
    request_fields,
)
from tests.helpers.upstream import Upstream

LONG = (b"content-length", b"9")
TRICKS = {
    "a line in a header's value": request_fields(b"/predictions/demo", (b"x-one", b"a\r\nx-onnxserve-client: root")),
    "a line in a header's name": request_fields(b"/predictions/demo", (b"x-one\r\ntransfer-encoding", b"chunked")),
    "a line in the path": request_fields(b"/predictions/demo HTTP/1.1\r\nHost: x\r\n\r\nGET /models"),
    "a line in the method": request_fields(method=b"POST /models HTTP/1.1\r\n\r\nGET"),
    "a line in the authority": [*request_fields()[:2], (b":authority", b"a\r\nx: y"), *request_fields()[3:]],
    "a coding": request_fields(b"/predictions/demo", (b"transfer-encoding", b"chunked")),
    "a connection's header": request_fields(b"/predictions/demo", (b"connection", b"x-onnxserve-client")),
    "capital letters": request_fields(b"/predictions/demo", (b"X-One", b"a")),
    "a length that isn't the body's": request_fields(b"/predictions/demo", LONG),
    "two paths": [*request_fields(), (b":path", b"/models")],
    "a pseudo-header behind others": [*request_fields()[:3], (b"x-one", b"a"), request_fields()[3]],
    "an unknown pseudo-header": [*request_fields(), (b":protocol", b"websocket")],
    "no path": list(request_fields())[:3],
    "no method": list(request_fields())[1:],
    "an empty path": request_fields(b""),
    "a path without a slash": request_fields(b"models"),
    "another host": request_fields(b"/predictions/demo", (b"host", b"elsewhere")),
}


@pytest.fixture
def upstream(shared: Shared) -> Upstream:
    return shared.upstream


@pytest.fixture
def client(shared: Shared) -> Client:
    return shared.client


@pytest.fixture
def port(client: Client) -> int:
    return client.gateway.config.listen.port


@pytest.mark.parametrize("fields", TRICKS.values(), ids=TRICKS.keys())
def test_frames_that_would_become_other_requests_are_refused_or_lead_nowhere(client, upstream, port, fields):
    upstream.management_paths.clear()
    with http2_connection(port) as connection:
        outcome = connection.outcome(connection.request(fields, b"[1, 2]"))
    assert outcome in {"reset", "closed", 200, 400, 404}
    assert upstream.management_paths == []
    for (
        request
    ) in upstream.requests:  # whatever came through is one request, and says nothing that only the gateway may
        assert (request.path, request.body) == ("/predictions/demo/1.0", b"[1, 2]")
        assert request.headers["x-onnxserve-client"] == "127.0.0.1"
        assert request.headers["host"] == "onnxserve"
        assert "transfer-encoding" not in request.headers
    assert len(upstream.requests) == (outcome == 200)
    assert client.post().status_code == 200


def test_a_header_block_in_many_frames_ends_and_a_stream_of_them_is_cut_off(client, upstream, port):
    with http2_connection(port) as connection:
        block = encoded(request_fields(b"/predictions/demo", (b"x-one", b"a" * 300)))
        pieces = [block[at : at + 40] for at in range(0, len(block), 40)]
        connection.send(frame(HEADERS, 0, 1, pieces[0]))
        for piece in pieces[1:-1]:
            connection.send(frame(CONTINUATION, 0, 1, piece))
        connection.send(frame(CONTINUATION, END_HEADERS, 1, pieces[-1]) + frame(DATA, END_STREAM, 1, b"[1]"))
        assert connection.outcome(1) == 200
        connection.send(frame(HEADERS, 0, 3, encoded(request_fields())))
        try:
            for number in range(4000):
                connection.send(frame(CONTINUATION, 0, 3, encoded([(b"x-%d" % number, b"a" * 900)])))
            outcome = connection.outcome(3)
        except OSError:
            outcome = "closed"
        assert outcome in {"closed", "reset", 400, 431}
    assert client.post().status_code == 200


def test_streams_that_are_opened_and_reset_at_once_hold_nobody_up(client, upstream, port):
    upstream.delay_s = 0.05
    with http2_connection(port) as connection:
        try:
            for _ in range(3000):
                stream = connection.request(request_fields(), b"[1]")
                connection.send(frame(3, 0, stream, b"\0\0\0\x08"))
        except OSError:
            pass  # it was cut off
        assert client.post().status_code == 200
    assert client.post().status_code == 200
