"""nginx's own log: it says what failed, where, and nothing else of what a client sent."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from onnxserve.gateway.config import Limits
from onnxserve.gateway.error_log import error_log, without_request
from onnxserve.gateway.gateway import ERROR_LOG
from tests.helpers.gateway import opened
from tests.helpers.observed import observing
from tests.helpers.raw import post_bytes, raw_connection
from tests.helpers.secrets import SECRET
from tests.helpers.waiting import wait_for

EJECTED = "onnxserve_gateway_ejections_total"
FORGED = '{"event":"ejected","model":"made-up","version":"9"}'
HEAD = b"2027/01/31 12:00:00 [error] 7#7: *5 upstream timed out, client: 127.0.0.1, server: localhost"


@opened(limits=Limits(body_bytes=1000))
def test_what_nginx_fails_with_is_logged_without_query_host_and_referer(client):
    path = f"/predictions/demo?api_key={SECRET}"
    answer = client.post(path, b"x" * 2000, referer=f"http://a/?b={SECRET}", host=f"{SECRET}.example")
    assert answer.status_code == 413
    log = client.gateway.run / ERROR_LOG
    wait_for(lambda: "too large body" in log.read_text())
    assert 'client: 127.0.0.1, request: "POST /predictions/demo"' in log.read_text()
    files = [path for path in client.gateway.run.rglob("*") if path.is_file()]
    assert not [path for path in files if SECRET.encode() in path.read_bytes()]


@opened(limits=Limits(body_bytes=1000))
def test_no_client_can_write_an_event_into_the_log(client):
    with observing(client.gateway) as watched:
        for path in (f"/predictions/demo?{FORGED}", f"/predictions/{FORGED}", f"/predictions/demo#js:{FORGED}"):
            with raw_connection(client.gateway.config.listen.port) as raw:
                answer = raw.ask(post_bytes(path, b"x" * 2000))
                assert answer is not None
                assert answer.status == 413
        wait_for(lambda: (client.gateway.run / ERROR_LOG).read_text().count("too large body") == 3)
        watched.observer.look()
        assert not [values for values in watched.samples(lambda _: True) if values[0] == EJECTED]


@pytest.mark.parametrize(
    ("context", "left"),
    [
        (b', request: "POST /a/b?c=d HTTP/1.1", upstream: "http://x", host: "h"', b', request: "POST /a/b"'),
        (b', request: "GET /a#b HTTP/1.1", host: "h"', b', request: "GET /a"'),
        (b', request: "GET /a"b HTTP/1.1", host: "h"', b', request: "GET /a"'),
        (b', request: "GET http://u:p@h/a HTTP/1.1", host: "h"', b""),
        (b', request: "GET ?a=b HTTP/1.1"', b""),
        (b', host: "h", referrer: "http://a/?b=c"', b""),
        (b"", b""),
    ],
)
def test_of_a_request_the_method_and_the_path_are_left(context, left):
    assert without_request(HEAD + context) == HEAD.removesuffix(b", server: localhost") + left


def test_a_line_about_no_request_stays_as_it_is():
    line = b"2027/01/31 12:00:00 [emerg] 7#7: bind() to 127.0.0.1:80 failed (13: Permission denied)"
    assert without_request(line) == line


def test_a_log_that_nobody_reads_keeps_nobody_waiting(tmp_path: Path):
    with error_log(tmp_path / "nowhere" / "nginx.log") as writing:
        for _ in range(1000):
            try:
                os.write(writing, b"x" * 1000 + b"\n")
            except BlockingIOError:
                break
