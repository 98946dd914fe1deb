"""Requests over HTTP/1.1 whose end is in doubt."""

from __future__ import annotations

import json

import pytest

from tests.helpers.gateway import Client, Shared
from tests.helpers.raw import post_bytes, raw_connection
from tests.helpers.upstream import Upstream

START = b"POST /predictions/demo HTTP/1.1\r\nHost: a\r\n"
HIDDEN = b"POST /predictions/demo/2.0 HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n[9]"
REFUSED = {
    "both lengths": START + b"Content-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + HIDDEN,
    "both lengths, the other way round": START + b"Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n",
    "two lengths": START + b"Content-Length: 6\r\nContent-Length: 7\r\n\r\n[1, 2]x",
    "the same length twice": START + b"Content-Length: 6\r\nContent-Length: 6\r\n\r\n[1, 2]",
    "a list of lengths": START + b"Content-Length: 6, 6\r\n\r\n[1, 2]",
    "a length with a sign": START + b"Content-Length: +6\r\n\r\n[1, 2]",
    "a negative length": START + b"Content-Length: -6\r\n\r\n[1, 2]",
    "a length in hexadecimal": START + b"Content-Length: 0x6\r\n\r\n[1, 2]",
    "a length beyond 64 bits": START + b"Content-Length: 18446744073709551622\r\n\r\n[1, 2]",
    "an empty length": START + b"Content-Length: \r\n\r\n[1, 2]",
    "an unknown coding": START + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "a coding of two": START + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "chunked twice": START + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "identity first": START + b"Transfer-Encoding: identity\r\nContent-Length: 6\r\n\r\n[1, 2]",
    "a folded header": START + b"Content-Length: 6\r\nX-One: a\r\n b\r\n\r\n[1, 2]",
    "a folded coding": START + b"Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n",
    "a blank before the colon": START + b"Content-Length : 6\r\n\r\n[1, 2]",
    "a header without a name": START + b": 6\r\n\r\n",
    "a zero byte in a header": START + b"X-One: a\0b\r\nContent-Length: 6\r\n\r\n[1, 2]",
    "a bare return in a header": START + b"X-One: a\rb\r\nContent-Length: 6\r\n\r\n[1, 2]",
    "two hosts": b"POST /predictions/demo HTTP/1.1\r\nHost: a\r\nHost: b\r\nContent-Length: 6\r\n\r\n[1, 2]",
    "no host": b"POST /predictions/demo HTTP/1.1\r\nContent-Length: 6\r\n\r\n[1, 2]",
    "HTTP/1.0 with chunks": START.replace(b"1.1", b"1.0") + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "an unknown version": b"POST /predictions/demo HTTP/3.0\r\nHost: a\r\nContent-Length: 6\r\n\r\n[1, 2]",
    "a blank in the path": b"POST /predictions/demo x HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\n[1, 2]",
}
BAD_CHUNKS = {
    "a size that isn't a number": b"x\r\n[1]\r\n0\r\n\r\n",
    "a negative size": b"-3\r\n[1]\r\n0\r\n\r\n",
    "a size in hexadecimal's own form": b"0x3\r\n[1]\r\n0\r\n\r\n",
    "a size beyond 64 bits": b"10000000000000003\r\n[1]\r\n0\r\n\r\n",
    "a chunk that is longer than its size": b"3\r\n[1]x\r\n0\r\n\r\n",
    "a chunk without its end": b"3\r\n[1]0\r\n\r\n",
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


@pytest.mark.parametrize("request_", REFUSED.values(), ids=REFUSED.keys())
def test_requests_whose_end_is_in_doubt_are_refused_and_nothing_behind_them_is_read(client, upstream, port, request_):
    with raw_connection(port) as raw:
        answer = raw.ask(request_)
        assert answer is not None
        assert (answer.status, json.loads(answer.body)["error"]["type"]) in {
            (400, "malformed_request"),
            (501, "not_implemented"),
        }
        if answer.headers.get("connection") != "close":
            assert raw.answer() is None  # whatever was left isn't taken for a request
    assert upstream.requests == []
    assert client.post().status_code == 200


@pytest.mark.parametrize("chunks", BAD_CHUNKS.values(), ids=BAD_CHUNKS.keys())
def test_chunks_that_do_not_add_up_are_refused(client, upstream, port, chunks):
    with raw_connection(port) as raw:
        answer = raw.ask(START + b"Transfer-Encoding: chunked\r\n\r\n" + chunks)
        assert answer is None or answer.status == 400
    assert [request for request in upstream.requests if request.body != b"[1]"] == []
    assert client.post().status_code == 200


def test_extensions_and_trailers_of_chunks_are_dropped_and_the_body_goes_on_whole(upstream, port):
    body = b'2;x=y\r\n[1\r\n1;"a"\r\n]\r\n0\r\nContent-Length: 9\r\nx-onnxserve-client: root\r\n\r\n'
    with raw_connection(port) as raw:
        first = raw.ask(START + b"Transfer-Encoding: chunked\r\n\r\n" + body)
        second = raw.ask(post_bytes(body=b"[2]"))
        assert first is not None
        assert second is not None
        assert (first.status, second.status) == (200, 200)
    assert [request.body for request in upstream.requests] == [b"[1]", b"[2]"]
    assert {request.headers["x-onnxserve-client"] for request in upstream.requests} == {"127.0.0.1"}


def test_bare_line_feeds_end_lines_and_hide_nothing(upstream, port):
    with raw_connection(port) as raw:
        answer = raw.ask(
            b"POST /predictions/demo HTTP/1.1\nHost: a\nContent-Length: 3\n\n[1]" + post_bytes(body=b"[2]")
        )
        after = raw.answer()
        assert (answer and answer.status, after and after.status) == (200, 200)
    assert [request.body for request in upstream.requests] == [b"[1]", b"[2]"]


def test_pipelined_requests_are_answered_in_their_order(upstream, port):
    upstream.answer = lambda path, body: (200, b'{"echo": ' + body + b"}")
    with raw_connection(port) as raw:
        raw.send(b"".join(post_bytes(body=b"%d" % number) for number in range(50)))
        answers = [raw.answer() for _ in range(50)]
    assert [answer and answer.body for answer in answers] == [b'{"echo": %d}' % number for number in range(50)]
