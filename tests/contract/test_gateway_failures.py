"""What the edge answers when something breaks, or somebody means harm."""

from __future__ import annotations

import json
import socket
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace as with_fields

import httpx
import msgspec
import pytest

from onnxserve.client import loopback
from onnxserve.gateway import Canary, Roles, Share
from onnxserve.gateway.config import Deadline, Guard, Limits, Retry, Traces
from onnxserve.gateway.nginx_process import start
from onnxserve.torchserve import free_ports
from tests.helpers.gateway import STABLE, client_of, config, gateway_of, opened
from tests.helpers.upstream import versioned


def test_a_failing_canary_is_answered_by_stable_and_marked(client, upstream):
    upstream.answer = lambda path, _: (503, b'{"code": 503}') if path.endswith("2.0") else versioned(path)
    client.set_roles(canary=Canary("2.0", 100))
    answer = client.post()
    assert (answer.status_code, answer.json()["version"]) == (200, "1.0")
    assert answer.headers["x-onnxserve-degraded"] == "fallback"
    assert upstream.paths() == ["/predictions/demo/2.0", "/predictions/demo/2.0", "/predictions/demo/1.0"]


@opened(retry=Retry(tries=1, budget_percent=20))
def test_tries_are_bounded_so_that_they_can_not_storm(client, upstream):
    upstream.answer = lambda _, __: (503, b'{"code": 503}')
    upstream.delay_s = 0.05
    with ThreadPoolExecutor(32) as pool:
        answers = list(pool.map(lambda _: client.post(), range(200)))
    assert {answer.status_code for answer in answers} == {503}
    assert {answer.json()["error"]["type"] for answer in answers} == {"unavailable"}
    assert all(answer.headers["retry-after"] for answer in answers)
    assert len(upstream.requests) < 200 * 1.6  # one try for each would be 400


def test_the_servers_own_errors_get_the_handlers_form(client, upstream):
    own = {"code": 404, "type": "ModelVersionNotFoundException", "message": "Model version: 9 not found"}
    ours = {"error": {"type": "invalid_row", "reason": "r", "where": "w"}, "model": "demo", "version": "1.0"}
    for status, document, kind in ((404, own, "not_found"), (507, own, "worker_ended"), (422, ours, "invalid_row")):
        upstream.answer = lambda _, __, status=status, document=document: (status, json.dumps(document).encode())
        answer = client.post()
        assert (answer.status_code, answer.json()["error"]["type"]) == (status, kind)
    assert answer.json() == ours


@pytest.mark.parametrize("status", [200, 204, 400, 404, 413, 422, 500, 503, 504, 507])
@opened(guard=Guard(digits=2, probing=True))
def test_bodies_without_a_byte_do_no_harm_to_the_scripts(client, upstream, status):
    upstream.answer, upstream.headers = (lambda *_: (status, b"")), {"x-onnxserve-limited": "2/"}
    client.set_roles(canary=Canary("2.0", 50), shadow=Share("2.0", 100))
    for path in ("/predictions/demo", "/v2/models/demo/infer"):
        for body in (b"", b"[1]"):
            assert client.post(path, body).status_code in {status, 503 if status == 500 else status}
    assert client.post(body=b"", content_type="multipart/form-data").status_code in {status, 400}
    assert "js " not in (client.gateway.run / "nginx.log").read_text()


@pytest.mark.parametrize(
    "itself",
    [None, 5, {}, [], "text", {"signature": {}}, {"v2": {"inputs": [], "outputs": None}}, {"openapi": "text"}],
)
def test_a_model_that_describes_itself_in_another_way_hides_no_other(client, upstream, monkeypatch, itself):
    about = [{"modelName": "demo", "workers": [], "customizedMetadata": itself}]

    def described(_: object, path: str) -> tuple[int, bytes]:
        return 200, json.dumps({"models": [{"modelName": "demo"}]} if path.startswith("/models?") else about).encode()

    monkeypatch.setattr("tests.helpers.upstream.answer_management", described)
    document = client.http.get("/openapi.json")
    assert (document.status_code, document.json()["paths"]) == (200, {})
    metadata = client.http.get("/v2/models/demo")
    assert (metadata.status_code, metadata.json()["error"].split(":")[0]) == (503, "unavailable")


def test_a_server_that_is_gone_is_503_with_a_time_to_come_again(client):
    client.running.stop()
    [nobody] = free_ports(1)
    unreachable = with_fields(client.gateway, inference=loopback(nobody), management=loopback(nobody))
    running = start(unreachable, Roles({"demo": STABLE}))
    try:
        answer = client.post()
        assert (answer.status_code, answer.json()["error"]["type"]) == (503, "unavailable")
        assert answer.headers["retry-after"] == "1"
        assert client.http.get("/v2/health/ready").status_code == 503
    finally:
        running.stop()


@opened(limits=Limits(concurrency=2))
def test_more_than_may_be_under_way_answer_429_at_once(client, upstream):
    upstream.delay_s = 0.5
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: client.post(), range(8)))
    codes = Counter(answer.status_code for answer in answers)
    assert set(codes) == {200, 429}
    refused = next(answer for answer in answers if answer.status_code == 429)
    assert (refused.json()["error"]["type"], refused.headers["retry-after"]) == ("overloaded", "1")


@opened(limits=Limits(requests_per_second=5))
def test_the_rate_of_all_clients_is_limited(client):
    answers = [client.post() for _ in range(12)]
    refused = [answer for answer in answers if answer.status_code == 429]
    assert 5 <= len(refused) < 12
    assert refused[0].json()["error"]["type"] == "rate_limited"


@opened(deadline=Deadline(answer_s=0.3))
def test_no_answer_within_the_deadline_is_504(client, upstream):
    upstream.delay_s = 10
    began = time.monotonic()
    answer = client.post()
    assert (answer.status_code, answer.json()["error"]["type"]) == (504, "deadline_exceeded")
    assert time.monotonic() - began < upstream.delay_s - 1


@opened(limits=Limits(body_bytes=1000, header_kib=4))
def test_bodies_and_headers_beyond_the_limits_are_refused_with_their_status(client, upstream):
    answer = client.post(body=b"x" * 2000)
    assert (answer.status_code, answer.json()["error"]["type"]) == (413, "too_large")
    assert client.post(x_long="x" * 5000).status_code == 431
    assert upstream.requests == []
    assert client.post(body=b"x" * 900).status_code == 200


SMUGGLED = [
    b"POST /predictions/demo HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    b"POST /predictions/demo HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\nContent-Length: 7\r\n\r\n[1, 2]x",
    b"POST /predictions/demo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    b"POST /predictions/demo HTTP/1.1\r\nHost: a\r\nContent-Length: +6\r\n\r\n[1, 2]",
]


@pytest.mark.parametrize("request_", SMUGGLED)
def test_requests_whose_end_is_in_doubt_are_refused(client, upstream, request_):
    with socket.create_connection(("127.0.0.1", client.gateway.config.listen.port), timeout=60) as connection:
        connection.sendall(request_)
        assert connection.recv(4096).split(b" ")[1] in {b"400", b"501"}
    assert upstream.requests == []


def test_a_header_with_an_underscore_is_dropped_and_decides_nothing(client, upstream):
    with socket.create_connection(("127.0.0.1", client.gateway.config.listen.port), timeout=60) as connection:
        head = b"POST /predictions/demo HTTP/1.1\r\nHost: a\r\nContent_Length: 6\r\nContent-Length: 0\r\n"
        connection.sendall(head + b"X_User: root\r\nConnection: close\r\n\r\n")
        assert connection.recv(4096).split(b" ")[1] == b"200"
    assert [request.body for request in upstream.requests] == [b""]
    assert "x_user" not in upstream.requests[0].headers


@opened(deadline=Deadline(request_s=1))
def test_a_client_that_sends_slowly_is_dropped_and_others_do_not_notice(client, upstream):
    port = client.gateway.config.listen.port
    slow = [socket.create_connection(("127.0.0.1", port), timeout=60) for _ in range(20)]
    for connection in slow:
        connection.sendall(b"POST /predictions/demo HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n[")
    assert client.post().status_code == 200
    began = time.monotonic()
    for connection in slow:
        assert connection.recv(4096) == b""
        connection.close()
    assert time.monotonic() - began < 30
    assert len(upstream.requests) == 1


def test_a_collector_that_is_gone_costs_no_request(upstream, tmp_path):
    [nobody] = free_ports(1)
    traces = Traces(endpoint=f"http://127.0.0.1:{nobody}", percent=100)
    gateway = gateway_of(config(traces=traces), tmp_path, upstream.port)
    with client_of(gateway, Roles({"demo": STABLE})) as client:
        assert {client.post().status_code for _ in range(50)} == {200}


@opened(limits=Limits(body_bytes=2**20))
def test_a_body_of_fifty_megabytes_is_refused_while_others_are_answered(client, upstream):
    def chunks() -> Iterator[bytes]:
        for _ in range(50):
            yield b"x" * 2**20

    with ThreadPoolExecutor(4) as pool:
        big = [
            pool.submit(httpx.post, f"{client.gateway.url}/predictions/demo", content=chunks(), trust_env=False)
            for _ in range(2)
        ]
        assert {client.post().status_code for _ in range(20)} == {200}
        for upload in big:
            error = upload.exception()
            assert (
                isinstance(error, httpx.WriteError | httpx.ReadError) if error else upload.result().status_code == 413
            )
    assert max(len(request.body) for request in upstream.requests) < 100


def test_a_log_that_can_not_be_written_costs_no_request(upstream, tmp_path):
    gateway = gateway_of(config(), tmp_path, upstream.port)
    gateway.run.mkdir()
    for name in ("access.log", "observations.log", "nginx.log"):
        (gateway.run / name).symlink_to("/dev/full")
    roles = Roles({"demo": msgspec.structs.replace(STABLE, shadow=Share("2.0", 100))})
    with client_of(gateway, roles) as client:
        assert {client.post().status_code for _ in range(50)} == {200}


def test_errors_on_the_open_inference_protocols_paths_are_lines_of_text(client, upstream):
    infer = "/v2/models/demo/infer"
    client.post(infer)
    client.post()
    assert [request.headers.get("x-onnxserve-protocol") for request in upstream.requests] == ["v2", None]
    upstream.answer = lambda _, __: (507, b"no JSON")
    assert client.post(infer).json()["error"].startswith("worker_ended: server: ")
    for path in ("/v2/models/nobody/infer", "/v2/models/demo/versions/9/infer", "/v2/nothing"):
        answer = client.post(path)
        assert (answer.status_code, answer.json()["error"].split(":")[0]) == (404, "not_found")
    wrong = client.http.get(infer)
    assert (wrong.status_code, wrong.json()["error"]) == (405, "method_not_allowed: gateway: use POST, PUT")
    too_large = client.post(infer, body=b"x" * (9 * 2**20))
    assert (too_large.status_code, too_large.json()["error"].split(":")[0]) == (413, "too_large")


UNUSUAL = [
    (b"CONNECT a:80 HTTP/1.1", "GET, HEAD"),
    (b"TRACE /v2 HTTP/1.1", "GET, HEAD"),
    (b"TRACE /predictions/demo HTTP/1.1", "POST, PUT"),
    (b"DELETE /predictions/demo HTTP/1.1", "POST, PUT"),
    (b"FROB /v2/models/demo/infer HTTP/1.1", "POST, PUT"),
    (b"OPTIONS /v1/models/demo:predict HTTP/1.1", "POST, PUT"),
    (b"PATCH /v2/models/demo/ready HTTP/1.1", "GET"),
    (b"POST /v2/health/ready HTTP/1.1", "GET, HEAD"),
    (b"DELETE /v2/health/live HTTP/1.1", "GET, HEAD"),
]


@pytest.mark.parametrize(("line", "allowed"), UNUSUAL, ids=[line.split(b" HTTP")[0].decode() for line, _ in UNUSUAL])
def test_a_method_that_a_path_does_not_take_is_405_and_names_those_that_it_does(client, upstream, line, allowed):
    with socket.create_connection(("127.0.0.1", client.gateway.config.listen.port), timeout=60) as connection:
        connection.sendall(line + b"\r\nHost: a\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        answer = b"".join(iter(lambda: connection.recv(4096), b""))
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.split(b" ")[1] == b"405"
    fields = (field.partition(": ") for field in head.decode().split("\r\n")[1:])
    assert {name.lower(): value for name, _, value in fields}["allow"] == allowed
    error = json.loads(body)["error"]
    description = error if isinstance(error, str) else f"{error['type']}: {error['where']}: {error['reason']}"
    assert description == f"method_not_allowed: gateway: use {allowed}"
    assert upstream.requests == []
