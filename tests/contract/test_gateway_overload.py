"""A version whose queue has no more room: the refusal goes to the client, and says nothing ill of the version."""

from __future__ import annotations

import grpc
import pytest

from onnxserve.gateway import Canary
from onnxserve.gateway.config import Cache
from tests.helpers.gateway import opened
from tests.helpers.messages import SERVICE, message_of
from tests.helpers.upstream import Upstream, versioned

# As the plugin answers (torchserve/batching-plugin/src/onnxserve/Drop.java).
BODY = b'{"error":{"type":"overloaded","reason":"More requests wait.","where":"queue"}}'
MARK = {"x-onnxserve-error": "overloaded", "retry-after": "1"}
MANY = 50  # more than failures.js needs to leave a version alone


@pytest.fixture
def full(upstream: Upstream) -> Upstream:
    upstream.answer, upstream.headers = (lambda _, __: (503, BODY)), MARK
    return upstream


def test_a_client_is_told_to_come_back_and_the_version_is_asked_once(client, full):
    answer = client.post()
    assert (answer.status_code, answer.json()["error"]["type"]) == (503, "overloaded")
    assert (answer.headers["retry-after"], answer.headers["x-onnxserve-version"]) == ("1", "1.0")
    assert full.paths() == ["/predictions/demo/1.0"]


def test_the_open_inference_protocols_clients_get_a_line_of_text(client, full):
    answer = client.post("/v2/models/demo/infer")
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    assert answer.json()["error"].startswith("overloaded: gateway: ")
    assert len(full.requests) == 1


def test_a_call_is_told_in_grpcs_words(client, full):
    message = message_of("ModelInferRequest", model_name="demo").SerializeToString()
    address = client.gateway.url.removeprefix("http://")
    with grpc.insecure_channel(address) as channel, pytest.raises(grpc.RpcError) as caught:
        channel.unary_unary(f"/{SERVICE}/ModelInfer")(message, timeout=20)
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
    assert caught.value.details().startswith("overloaded: gateway: ")
    assert len(full.requests) == 1


def test_no_other_version_gets_what_a_full_one_refuses_and_the_full_one_is_not_left_alone(client, full):
    client.set_roles(canary=Canary("2.0", 100))
    assert {client.post().status_code for _ in range(MANY)} == {503}
    assert set(full.paths()) == {"/predictions/demo/2.0"}
    full.answer, full.headers = (lambda path, _: versioned(path)), {}
    assert client.post().json()["version"] == "2.0"
    assert "ejected" not in (client.gateway.run / "nginx.log").read_text()


def test_who_judges_a_canary_sees_what_it_refuses(client, full):
    client.set_roles(canary=Canary("2.0", 100))
    client.post()
    [seen] = client.observed(1)
    assert (seen["version"], seen["status"], seen["failed"]) == ("2.0", 503, "")


def test_the_log_and_the_counters_know_it_as_overload(client, full):
    client.post()
    [line] = client.logged(1)
    assert (line["status"], line["error"], line["version"]) == (503, "overloaded", "1.0")


def test_a_second_try_that_finds_the_queue_full_is_the_last_one(client, upstream):
    def broken_then_full(_: str, __: bytes) -> tuple[int, bytes]:
        if len(upstream.requests) == 1:
            return 503, b'{"code": 503}'
        upstream.headers = MARK
        return 503, BODY

    upstream.answer = broken_then_full
    client.set_roles(canary=Canary("2.0", 100))
    answer = client.post()
    assert (answer.status_code, answer.json()["error"]["type"]) == (503, "overloaded")
    assert answer.headers["retry-after"] == "1"
    assert upstream.paths() == ["/predictions/demo/2.0", "/predictions/demo/2.0"]


def test_a_client_whose_requests_ended_many_workers_learns_that_and_the_version_is_not_left_alone(client, upstream):
    upstream.answer, upstream.headers = (lambda _, __: (503, b"")), {"x-onnxserve-error": "quarantined"}
    answer = client.post()
    assert (answer.status_code, answer.json()["error"]["type"]) == (503, "quarantined")
    assert (answer.headers["retry-after"], len(upstream.requests)) == ("1", 1)
    client.set_roles(canary=Canary("2.0", 100))
    assert {client.post().status_code for _ in range(MANY)} == {503}
    assert "ejected" not in (client.gateway.run / "nginx.log").read_text()


@opened(cache=Cache(seconds=1))
def test_an_old_answer_is_better_than_none(client, upstream):
    assert client.post().status_code == 200
    upstream.answer, upstream.headers = (lambda _, __: (503, BODY)), MARK
    answers = [client.post()]
    while answers[-1].headers["x-onnxserve-cache"] == "hit":
        answers.append(client.post())
    assert (answers[-1].status_code, answers[-1].headers["x-onnxserve-degraded"]) == (200, "cache")
    assert client.post(body=b"[3, 4]").status_code == 503
