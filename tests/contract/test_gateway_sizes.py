"""Bodies and answers of every size come through whole, on every way that a request may take."""

from __future__ import annotations

import json
import random
from collections import Counter

import pytest

from onnxserve.gateway import Canary, Share
from onnxserve.gateway.config import Cache, Guard, Limits
from tests.helpers.gateway import opened
from tests.helpers.upstream import answer_management

MOST = 2**20


def bytes_of(size: int) -> bytes:
    return random.Random(size).randbytes(size)


@opened(limits=Limits(body_bytes=MOST), cache=Cache(seconds=60))
@pytest.mark.parametrize("parts", [{}, {"canary": Canary("2.0", 100)}, {"shadow": Share("2.0", 100)}])
def test_a_body_up_to_the_limit_comes_through_and_one_byte_more_does_not(client, upstream, parts):
    client.set_roles(**parts)
    upstream.answer = lambda _, body: (200, body)
    for size in (0, 1, 4095, 9999, 10000, 16384, 16385, 70000, MOST):
        sent = bytes_of(size)
        answer = client.post(body=sent, content_type="application/octet-stream")
        assert (answer.status_code, answer.content == sent) == (200, True), size
    assert client.post(body=bytes_of(MOST + 1)).status_code == 413
    chunked = client.http.post("/predictions/demo", content=iter([bytes_of(MOST // 2), bytes_of(MOST // 2)]))
    assert (chunked.status_code, len(chunked.content)) == (200, MOST)


@opened(limits=Limits(body_bytes=1000))
@pytest.mark.parametrize("parts", [{}, {"canary": Canary("2.0", 100)}, {"previous": "2.0"}])
def test_an_answer_may_be_larger_than_a_request_may_also_at_the_second_try(client, upstream, parts):
    client.set_roles(**parts)
    large = json.dumps({"predictions": ["x" * 3 * 2**20], "version": "1.0"}).encode()
    failing = iter([503, 200])
    upstream.answer = lambda *_: (next(failing), large)
    answer = client.post()
    assert (answer.status_code, answer.content == large) == (200, True)


@opened(limits=Limits(body_bytes=1000))
def test_readiness_and_descriptions_may_be_larger_than_a_request_may(client, upstream, monkeypatch):
    def long(server, path):
        status, content = answer_management(server, path)
        document = json.loads(content)
        if isinstance(document, list):
            document[0]["workers"] *= 200
            document[0]["comment"] = "x" * 100_000
        return status, json.dumps(document).encode()

    monkeypatch.setattr("tests.helpers.upstream.answer_management", long)
    for path in ("/v2/models/demo/ready", "/v2/health/ready", "/v2/models/demo", "/openapi.json"):
        assert client.http.get(path).status_code == 200, path


@opened(limits=Limits(body_bytes=1000))
def test_a_copys_answer_may_be_larger_than_a_request_may(client, upstream):
    client.set_roles(shadow=Share("2.0", 100))
    large = json.dumps({"predictions": [{"label": "x" * 100_000, "score": 0.5}], "version": "2.0"}).encode()
    upstream.answer = lambda *_: (200, large)
    assert client.post().status_code == 200
    seen = client.observed(2)
    assert Counter((line["version"], line["status"]) for line in seen) == {("1.0", 200): 1, ("2.0", 200): 1}


@opened(guard=Guard(digits=2))
def test_a_large_answer_to_a_client_that_may_know_less_comes_through_whole_or_not_at_all(client, upstream):
    large = bytes_of(2**20)
    upstream.answer, upstream.headers = (lambda *_: (200, large)), {"x-onnxserve-limited": "2/"}
    assert client.post().content == large
    upstream.headers = {}
    withheld = client.post()
    assert (withheld.status_code, withheld.json()["error"]["type"]) == (403, "withheld")
