"""What handlers do for the gateway: less for clients that may not know all, notes for who compares versions."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable

import grpc
import httpx
import pytest

from onnxserve.gateway import Canary, Share
from onnxserve.gateway.config import Cache, Guard
from tests.contract.test_gateway_grpc import infer, refused
from tests.helpers.gateway import Client, opened
from tests.helpers.upstream import Upstream, versioned

LIMITED, SAID, OBSERVE = "x-onnxserve-limited", "x-onnxserve-said", "x-onnxserve-observe"
SAYS = '[{"label":"x","score":0.5}]'
PATHS = ("/predictions/demo", "/v1/models/demo:predict", "/v2/models/demo/infer")
V2 = "/v2/models/demo/infer"
LESS = Guard(digits=2, top=1)


def handler(upstream: Upstream, *, fail: int = 0) -> Callable[[str, bytes], tuple[int, bytes]]:
    """Answers as our handlers do, after so many failures."""
    failures = iter([503] * fail)

    def answer(path: str, _: bytes) -> tuple[int, bytes]:
        headers = upstream.requests[-1].headers
        status = next(failures, 200)
        digits, top = headers.get("x-onnxserve-digits", ""), headers.get("x-onnxserve-top", "")
        upstream.headers = {LIMITED: f"{digits}/{top}"} if status == 200 and digits + top else {}
        if status == 200 and OBSERVE in headers:
            upstream.headers[SAID] = SAYS
        return versioned(path) if status == 200 else (status, b"{}")

    return answer


def kind_of(answer: httpx.Response) -> tuple[int, str]:
    error = answer.json()["error"]
    return answer.status_code, error.split(":")[0] if isinstance(error, str) else error["type"]


# Less --------------------------------------------------------------------


@opened(guard=LESS)
@pytest.mark.parametrize("path", PATHS)
def test_the_model_is_told_what_a_client_may_know_and_its_answer_goes_on(client, upstream, path):
    upstream.answer = handler(upstream)
    answer = client.post(path, x_onnxserve_digits="9", x_onnxserve_top="9")
    assert (answer.status_code, answer.json()["version"]) == (200, "1.0")
    headers = upstream.requests[0].headers
    assert (headers["x-onnxserve-digits"], headers["x-onnxserve-top"]) == ("2", "1")
    assert LIMITED not in answer.headers


def test_of_a_client_that_may_know_all_the_model_is_told_nothing_whatever_the_client_says(client, upstream):
    client.post(x_onnxserve_digits="9", x_onnxserve_top="9", x_onnxserve_observe="1")
    assert not {"x-onnxserve-digits", "x-onnxserve-top", OBSERVE} & set(upstream.requests[0].headers)


@opened(guard=LESS)
@pytest.mark.parametrize("confirmed", [{}, {LIMITED: "2/"}, {LIMITED: "3/1"}, {LIMITED: ""}])
@pytest.mark.parametrize("path", PATHS)
def test_an_answer_of_a_model_that_does_not_confirm_the_limits_is_withheld(client, upstream, path, confirmed):
    upstream.answer = lambda *_: (200, b"\x93NUMPY secret" * 10_000)
    upstream.headers = confirmed | {"inference-header-content-length": "7"}
    answer = client.post(path)
    assert kind_of(answer) == (403, "withheld")
    assert b"secret" not in answer.content
    assert "inference-header-content-length" not in answer.headers
    assert [line["error"] for line in client.logged(1)] == ["withheld"]


@opened(guard=LESS)
def test_a_call_whose_answer_is_withheld_has_a_status_that_says_so(client, upstream):
    upstream.answer, upstream.headers = (lambda *_: (200, b"\0\0\0\0\6secret")), {"x-grpc-status": "0"}
    with refused(grpc.StatusCode.PERMISSION_DENIED, "withheld: server: "):
        infer(client)


@opened(guard=LESS)
def test_the_limits_hold_for_second_tries_and_for_the_version_to_fall_back_to(client, upstream):
    upstream.answer = handler(upstream, fail=1)
    assert client.post().status_code == 200
    assert [request.headers["x-onnxserve-digits"] for request in upstream.requests] == ["2", "2"]
    failing = iter([503, 200])
    upstream.answer, upstream.headers = (lambda *_: (next(failing), b"secret")), {}
    assert kind_of(client.post()) == (403, "withheld")
    client.set_roles(canary=Canary("2.0", 100))
    upstream.answer = lambda path, _: (503 if path.endswith("2.0") else 200, b"secret")
    assert kind_of(client.post()) == (403, "withheld")


@opened(guard=LESS)
@pytest.mark.parametrize("status", [400, 413, 422, 500])
def test_what_a_handler_refuses_tells_nothing_and_goes_on(client, upstream, status):
    ours = {"error": {"type": "invalid_row", "reason": "r", "where": "w"}}
    words = json.dumps(ours).encode()
    upstream.answer = lambda *_: (status, words)
    upstream.headers = {"x-onnxserve-error": "invalid_row", "x-onnxserve-body": base64.b64encode(words).decode()}
    answer = client.post()
    assert (answer.status_code, answer.json()) == (status, ours)


@opened(guard=LESS, cache=Cache(seconds=60))
def test_a_limited_answer_is_kept_and_confirmed_with_it(client, upstream):
    upstream.answer = handler(upstream)
    first, second = client.post(), client.post()
    assert (first.headers["x-onnxserve-cache"], second.headers["x-onnxserve-cache"]) == ("miss", "hit")
    assert (second.status_code, second.content) == (200, first.content)
    upstream.answer, upstream.headers = (lambda *_: (200, b"secret")), {}
    assert [kind_of(client.post(body=b"[3]")) for _ in range(2)] == [(403, "withheld")] * 2


# Notes -------------------------------------------------------------------


@pytest.mark.parametrize("parts", [{"canary": Canary("2.0", 100)}, {"shadow": Share("2.0", 100)}])
@pytest.mark.parametrize("path", PATHS)
def test_while_versions_are_compared_each_answer_is_noted_as_its_handler_says(client, upstream, path, parts):
    upstream.answer = handler(upstream)
    client.set_roles(**parts)
    answer = client.post(path)
    assert (answer.status_code, SAID in answer.headers) == (200, False)
    count = 2 if "shadow" in parts else 1
    assert [line["said"] for line in client.observed(count)] == [SAYS] * count
    assert {request.headers[OBSERVE] for request in upstream.requests} == {"1"}


def test_nothing_is_noted_where_no_version_is_compared(client, upstream):
    upstream.answer = handler(upstream)
    client.post()
    client.set_roles(stable="2.0", previous="1.0")
    client.post()
    client.logged(2)
    assert [OBSERVE in request.headers for request in upstream.requests] == [False, False]
    assert client.observed(0) == []


def test_an_answer_that_says_nothing_of_itself_is_noted_without_a_word(client, upstream):
    upstream.headers = {SAID: ""}
    client.set_roles(shadow=Share("2.0", 100))
    client.post()
    assert [(line["status"], line["said"]) for line in client.observed(2)] == [(200, "")] * 2


def test_of_a_second_try_that_answer_is_noted(client, upstream):
    client.set_roles(canary=Canary("2.0", 100))
    upstream.answer = handler(upstream, fail=1)
    assert client.post().status_code == 200
    assert [(line["said"], line["failed"]) for line in client.observed(1)] == [(SAYS, "2.0 503")]


@opened(cache=Cache(seconds=60))
def test_an_answer_kept_before_nobody_compared_is_not_given_but_one_kept_since_with_its_note(client, upstream):
    upstream.answer = handler(upstream)
    client.post()
    client.set_roles(shadow=Share("2.0", 0))
    assert [client.post().headers["x-onnxserve-cache"] for _ in range(2)] == ["miss", "hit"]
    assert [(line["cache"], line["said"]) for line in client.observed(2)] == [("miss", SAYS), ("hit", SAYS)]


@opened(guard=LESS)
def test_a_limited_answer_is_noted_too(client: Client, upstream: Upstream) -> None:
    upstream.answer = handler(upstream)
    client.set_roles(canary=Canary("2.0", 100))
    assert client.post().status_code == 200
    assert [line["said"] for line in client.observed(1)] == [SAYS]
