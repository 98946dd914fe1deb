"""Requests in the forms of other servers: their bodies name the model, and all else holds as for a prediction."""

from __future__ import annotations

import gzip
import json
from typing import Any

import httpx
import pytest

from onnxserve.gateway.config import Auth, Cache, Guard
from onnxserve.gateway.keys import Key, add
from tests.helpers.gateway import Client, opened

PATHS = ("/v1/embeddings", "/rerank", "/v1/rerank")
EMBEDDINGS = "/v1/embeddings"


def post(client: Client, path: str, document: Any, **headers: str) -> httpx.Response:
    return client.post(path, json.dumps(document).encode(), **headers)


def message_of(answer: httpx.Response) -> str:
    document = answer.json()
    return str(document["message"] if "message" in document else document["error"]["message"])


@pytest.mark.parametrize(("path", "protocol"), [(PATHS[0], "embeddings"), (PATHS[1], "rerank"), (PATHS[2], "rerank")])
def test_a_body_goes_unchanged_to_the_version_that_serves_its_model(shared, path, protocol):
    document = {"model": "demo", "input": "x", "query": "ä"}
    answer = post(shared.client, path, document, x_onnxserve_protocol="v2")
    assert (answer.status_code, answer.headers["x-onnxserve-version"]) == (200, "1.0")
    [request] = shared.upstream.requests
    assert request.path == "/predictions/demo/1.0"
    assert request.headers["x-onnxserve-protocol"] == protocol
    assert json.loads(request.body) == document


def test_a_client_can_not_choose_a_form_by_a_header(shared):
    shared.client.post(x_onnxserve_protocol="embeddings")
    assert "x-onnxserve-protocol" not in shared.upstream.requests[0].headers


def test_where_one_model_is_served_a_body_need_not_name_it(shared):
    assert post(shared.client, "/rerank", {"query": "x", "texts": ["y"]}).status_code == 200
    assert shared.upstream.paths() == ["/predictions/demo/1.0"]


def test_several_models_must_be_named(open_gateway):
    client = open_gateway(auth=Auth())
    answer = post(client, EMBEDDINGS, {"input": "x"})
    assert answer.status_code == 400
    assert "name the model" in message_of(answer)
    assert post(client, EMBEDDINGS, {"input": "x", "model": "other"}).status_code == 200


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"{", 400),
        (b"", 400),
        (b"[]", 404),
        (b"null", 400),
        (b'"demo"', 400),
        (b'{"model": 3}', 400),
        (b'{"model": "%s"}' % (b"x" * 129), 400),
        (b'{"model": "none"}', 404),
        (b'{"model": "demo/2.0"}', 404),
        (b'{"model": "../models"}', 404),
        (b'{"model": "__proto__"}', 404),
    ],
)
def test_other_bodies_are_refused_in_the_forms_own_shape(shared, path, body, status):
    answer = shared.client.post(path, body)
    expected = 200 if body == b"[]" else status  # an object without a name, which the model refuses itself
    assert answer.status_code == expected
    if expected != 200:
        assert message_of(answer)
        assert shared.upstream.requests == []
    if expected != 200 and path == EMBEDDINGS:
        error = answer.json()["error"]
        assert (error["type"], error["param"]) == ("invalid_request_error", None)
        assert error["code"]


def test_a_compressed_body_is_refused_since_it_names_the_model(shared):
    answer = shared.client.post(EMBEDDINGS, gzip.compress(b'{"model": "demo"}'), content_encoding="gzip")
    assert (answer.status_code, answer.json()["error"]["code"]) == (415, "unsupported_media_type")
    assert "compressed" in message_of(answer)
    assert shared.upstream.requests == []


@pytest.mark.parametrize("path", PATHS)
def test_only_post_is_allowed(shared, path):
    answer = shared.client.get(path)
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")


@pytest.mark.parametrize("path", PATHS)
def test_a_server_that_fails_is_told_in_the_forms_own_shape(client, upstream, path):
    upstream.answer = lambda *_: (503, b"")
    answer = post(client, path, {"model": "demo"})
    assert answer.status_code == 503
    assert message_of(answer)


def test_keys_hold_and_a_bearer_token_may_be_the_key(open_gateway, upstream, keys):
    secret = add(keys, Key("shop", ("demo",), priority="batch"))
    client = open_gateway()
    document = {"model": "demo", "input": "x"}
    assert post(client, EMBEDDINGS, document).status_code == 401
    assert client.post(EMBEDDINGS, b"{").status_code == 401, "a body is read for clients with a key alone"
    for headers in ({"authorization": "Bearer none"}, {"x_api_key": "none"}):
        assert post(client, EMBEDDINGS, document, **headers).status_code == 401
    for headers in ({"authorization": f"Bearer {secret}"}, {"x_api_key": secret}):
        assert post(client, EMBEDDINGS, document, **headers).status_code == 200
        assert upstream.requests[-1].headers["x-onnxserve-client"] == "shop"
        assert upstream.requests[-1].headers["x-onnxserve-priority"] == "batch"
        assert post(client, EMBEDDINGS, {**document, "model": "other"}, **headers).status_code == 403
    assert client.post(authorization=f"Bearer {secret}").status_code == 401, "only these forms know no other header"
    assert not any(secret in str(request.headers) for request in upstream.requests)


def test_without_required_keys_any_bearer_token_is_let_through(shared):
    answer = post(shared.client, EMBEDDINGS, {"model": "demo"}, authorization="Bearer sk-none")
    assert answer.status_code == 200


@opened(guard=Guard(per_second=1))
def test_limits_of_a_client_hold(client):
    document = {"model": "demo"}
    answers = [post(client, EMBEDDINGS, document) for _ in range(3)]
    refused = [answer for answer in answers if answer.status_code == 429]
    assert refused
    assert refused[0].json()["error"]["code"] == "rate_limited"


@opened(cache=Cache(seconds=60))
def test_equal_bodies_of_two_forms_are_cached_apart(client, upstream):
    document = {"model": "demo", "query": "x"}
    for path in (*PATHS, *PATHS):
        assert post(client, path, document).status_code == 200
    assert len(upstream.requests) == 2


def test_requests_are_logged_with_their_model(client):
    post(client, EMBEDDINGS, {"model": "demo"})
    [line] = client.logged(1)
    assert (line["model"], line["version"], line["path"], line["status"]) == ("demo", "1.0", EMBEDDINGS, 200)
