"""Paths that lead elsewhere, and answers that would."""

from __future__ import annotations

import itertools
import random

import pytest

from tests.helpers.gateway import Client, Shared
from tests.helpers.raw import post_bytes, raw_connection
from tests.helpers.upstream import Upstream

INNER = [
    "/-/plain", "/-/keyed", "/-/enter", "/-/missing", "/-/token", "/-/preflight", "/-/call-token", "/-/shadow",
    "/-/try/1.0", "/-/state", "/-/state?limit=1000", "/-/state/demo", "/-/state/demo/1.0", "/-/about//demo",
    "/-/about/aaaa/demo", "/-/copy", "/roles", "/metrics", "/console/", "/console/data/models.json",
    "/ask/predictions/demo", "/models", "/models/demo", "/models?url=http://x/y.mar", "/workflows", "/ping",
    "/api-description", "/explanations/demo", "/batching", "/predictions", "/predictions/", "/invocations",
    "/nginx.conf", "/roles.json", "/access.log", "/gateway.sock", "/@answer", "/@ready", "/state/demo",
]  # fmt: skip
PREFIXES = [
    "", "/", "/./", "/x/..", "/predictions/..", "/predictions/demo/..", "/v2/models/demo/..", "/%2e%2e", "/%2f",
    "/predictions/demo%2f..%2f..", "/..%2f", "/.%00", "http://gateway", "http://127.0.0.1:8081",
]  # fmt: skip
PARTS = [
    "predictions", "demo", "1.0", "models", "-", "state", "..", ".", "%2e%2e", "%2F", "%5c", "%00", "%0d%0a", "v2",
    "infer", "versions", "ready", "try", ";", "?", "#", "//", "*", "about", "@answer", "%252e",
]  # fmt: skip


@pytest.fixture
def upstream(shared: Shared) -> Upstream:
    return shared.upstream


@pytest.fixture
def client(shared: Shared) -> Client:
    return shared.client


@pytest.fixture
def port(client: Client) -> int:
    return client.gateway.config.listen.port


def test_no_path_leads_to_management_or_into_the_gateway(client, upstream, port):
    paths = [prefix + path for prefix, path in itertools.product(PREFIXES, INNER)]
    paths += [path.replace("-", "%2d").replace("m", "%6d") for path in INNER]
    upstream.management_paths.clear()
    for path, method in itertools.product(paths, (b"GET", b"POST", b"OPTIONS")):
        with raw_connection(port) as raw:
            line = method + b" " + path.encode() + b" HTTP/1.1\r\n"
            answer = raw.ask(line + b"Host: a\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        assert answer is not None, path
        assert answer.status in {400, 404, 405}, (method, path, answer)
    assert (upstream.requests, upstream.management_paths) == ([], [])


def test_random_paths_reach_predictions_only(client, upstream, port):
    draw = random.Random(20)
    upstream.management_paths.clear()
    for number in range(600):
        path = "/" + "/".join(draw.choices(PARTS, k=draw.randint(1, 6)))
        with raw_connection(port) as raw:
            answer = raw.ask(post_bytes(path, body=b"[%d]" % number, Connection="close"))
        assert answer is not None, path
        assert answer.status in {200, 400, 404, 405}, (path, answer)
    assert {request.path for request in upstream.requests} <= {"/predictions/demo/1.0", "/predictions/demo/2.0"}
    assert upstream.management_paths == []


def test_an_absolute_address_is_read_for_its_path_and_its_host_decides_nothing(upstream, port):
    with raw_connection(port) as raw:
        answer = raw.ask(post_bytes("http://elsewhere.example/v2/models/demo/infer"))
    assert answer is not None
    assert (answer.status, upstream.requests[0].headers["host"]) == (200, "onnxserve")


def test_arguments_of_a_path_do_not_go_on(client, upstream):
    assert client.post("/predictions/demo?body=[9]&data=[9]&describe=True").status_code == 200
    assert client.post("/v2/models/demo/versions/2.0/infer?x=1", content_type="multipart/form-data").status_code == 200
    assert upstream.paths() == ["/predictions/demo/1.0", "/predictions/demo/2.0"]


@pytest.mark.parametrize("name", ["X-Accel-Redirect", "X-Accel-Buffering", "X-Accel-Limit-Rate", "X-Accel-Charset"])
def test_a_handler_can_not_direct_the_gateway(client, upstream, name):
    upstream.headers[name] = "/-/state"
    upstream.management_paths.clear()
    answer = client.post()
    assert (answer.status_code, answer.json()["version"]) == (200, "1.0")
    assert upstream.management_paths == []
