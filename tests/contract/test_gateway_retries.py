"""Second tries, versions that are left alone for a while, and what answers in their place."""

from __future__ import annotations

import base64
import json
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest

from onnxserve.gateway import Canary
from onnxserve.gateway.config import Deadline, Limits, Retry
from tests.helpers.gateway import opened
from tests.helpers.messages import SERVICE, message_of
from tests.helpers.raw import post_bytes, raw_connection
from tests.helpers.upstream import Upstream, versioned
from tests.helpers.waiting import wait_for

EJECT_AFTER = 20  # failures.js: second tries that failed within a second
MARK = {"x-onnxserve-error": "internal_error"}
OURS = json.dumps({"error": {"type": "internal_error", "reason": "r", "where": "w"}}).encode()
WORDS = base64.b64encode(OURS).decode()  # as the plugin sends them along (Attempt.java)


def failing(version: str, status: int = 503) -> Callable[[str, bytes], tuple[int, bytes]]:
    """A server whose other versions answer."""
    return lambda path, _: (status, b'{"code": 1}') if path.endswith(version) else versioned(path)


def counted(upstream: Upstream, of: Callable[[], object]) -> Counter[str]:
    """Versions that were asked meanwhile."""
    upstream.requests.clear()
    of()
    return Counter(path.rpartition("/")[2] for path in upstream.paths())


@opened(retry=Retry(tries=2))
def test_a_version_is_asked_again_as_often_as_the_file_says_and_an_answer_ends_it(client, upstream):
    statuses = iter([503, 503, 200])
    upstream.answer = lambda path, _: (next(statuses), versioned(path)[1])
    answer = client.post()
    assert (answer.status_code, len(upstream.requests)) == (200, 3)
    assert "x-onnxserve-degraded" not in answer.headers
    assert len({request.headers["x-request-id"] for request in upstream.requests}) == 1
    assert {request.body for request in upstream.requests} == {b"[1, 2]"}


@opened(retry=Retry(tries=0))
def test_without_tries_nothing_is_asked_again_but_the_version_to_fall_back_to_answers(client, upstream):
    upstream.answer = failing("1.0")
    assert counted(upstream, client.post) == {"1.0": 1}
    client.set_roles(stable="1.0", previous="2.0")
    answer = client.post()
    assert (answer.json()["version"], answer.headers["x-onnxserve-degraded"]) == ("2.0", "fallback")
    assert answer.headers["x-onnxserve-version"] == "2.0"
    assert client.logged(2)[1]["degraded"] == "fallback"


def test_a_version_that_was_named_is_never_answered_by_another(client, upstream):
    client.set_roles(stable="1.0", previous="2.0")
    upstream.answer = failing("1.0")
    answer = client.post("/predictions/demo/1.0")
    assert (answer.status_code, answer.json()["error"]["type"]) == (503, "unavailable")
    assert set(upstream.paths()) == {"/predictions/demo/1.0"}


@pytest.mark.parametrize("status", [400, 403, 404, 409, 415, 422, 429])
def test_a_callers_fault_is_never_tried_again(client, upstream, status):
    client.set_roles(stable="1.0", previous="2.0")
    upstream.answer = lambda *_: (status, OURS)
    assert client.post().status_code == status
    assert len(upstream.requests) == 1


def test_a_request_whose_time_is_over_is_not_tried_again(client, upstream):
    client.set_roles(stable="1.0", previous="2.0")
    upstream.answer = failing("1.0", 504)
    assert client.post().status_code == 504
    assert upstream.paths() == ["/predictions/demo/1.0"]


@pytest.mark.parametrize("status", [500, 503, 507])
def test_an_error_that_has_a_name_is_an_answer_asked_once_that_ejects_nobody(client, upstream, status):
    client.set_roles(stable="1.0", previous="2.0")
    upstream.answer, upstream.headers = (lambda *_: (status, OURS)), {**MARK, "x-onnxserve-body": WORDS}
    for _ in range(2 * EJECT_AFTER):
        answer = client.post()
        assert (answer.status_code, answer.content) == (status, OURS)
        assert not {"x-onnxserve-error", "x-onnxserve-body"} & answer.headers.keys()
    assert upstream.paths() == ["/predictions/demo/1.0"] * 2 * EJECT_AFTER
    assert "ejected" not in (client.gateway.run / "nginx.log").read_text()


def test_an_error_whose_words_do_not_come_along_has_its_name_and_is_not_asked_for_again(client, upstream):
    client.set_roles(stable="1.0", previous="2.0")
    kinds = (("not_finite", 500, 500), ("internal_error", 503, 500), ("worker_ended", 507, 507))
    for kind, status, expected in (*kinds, ("answer_too_large", 507, 507)):
        upstream.answer, upstream.headers = (lambda *_, status=status: (status, OURS)), {"x-onnxserve-error": kind}
        answer = client.post()
        assert (answer.status_code, answer.json()["error"]["type"]) == (expected, kind)
        assert "retry-after" not in answer.headers
    assert "worker" not in answer.text  # of the last one none ended
    assert len(upstream.requests) == 4


def test_a_canarys_own_error_is_answered_by_stable_which_alone_would_have_been_asked_without_it(client, upstream):
    client.set_roles(canary=Canary("2.0", 100))

    def answer(path: str, _: bytes) -> tuple[int, bytes]:
        upstream.headers = {**MARK, "x-onnxserve-body": WORDS} if path.endswith("2.0") else {}
        return (500, OURS) if path.endswith("2.0") else versioned(path)

    upstream.answer = answer
    response = client.post()
    assert (response.json()["version"], response.headers["x-onnxserve-degraded"]) == ("1.0", "fallback")
    assert upstream.paths() == ["/predictions/demo/2.0", "/predictions/demo/1.0"]
    [seen] = client.observed(1)
    assert (seen["version"], seen["failed"]) == ("1.0", "2.0 500")


def test_a_request_that_ends_a_canarys_workers_ends_none_of_the_stable_version(client, upstream):
    client.set_roles(canary=Canary("2.0", 100))
    upstream.answer, upstream.headers = (lambda *_: (507, b"{}")), {"x-onnxserve-error": "worker_ended"}
    answer = client.post()
    assert (answer.status_code, answer.json()["error"]["type"]) == (507, "worker_ended")
    assert upstream.paths() == ["/predictions/demo/2.0"]


def test_a_second_try_that_ends_in_an_error_with_a_name_is_the_last_one(client, upstream):
    def ill_then_named(_: str, __: bytes) -> tuple[int, bytes]:
        if len(upstream.requests) == 1:
            return 503, b""
        upstream.headers = {**MARK, "x-onnxserve-body": WORDS}
        return 500, OURS

    client.set_roles(stable="1.0", previous="2.0")
    upstream.answer = ill_then_named
    answer = client.post()
    assert (answer.status_code, answer.content) == (500, OURS)
    assert upstream.paths() == ["/predictions/demo/1.0"] * 2


def test_a_call_gets_the_status_and_message_of_an_error_that_has_a_name(client, upstream):
    upstream.answer = lambda *_: (500, OURS)
    upstream.headers = {**MARK, "x-onnxserve-body": WORDS, "x-grpc-status": "13", "x-grpc-message": "the words"}
    message = message_of("ModelInferRequest", model_name="demo").SerializeToString()
    channel = grpc.insecure_channel(client.gateway.url.removeprefix("http://"))
    with channel, pytest.raises(grpc.RpcError) as caught:
        channel.unary_unary(f"/{SERVICE}/ModelInfer")(message, timeout=20)
    assert (caught.value.code(), caught.value.details()) == (grpc.StatusCode.INTERNAL, "the words")
    assert len(upstream.requests) == 1


def test_a_call_that_a_handler_refuses_has_its_status_and_message_though_there_is_no_body(client, upstream):
    upstream.answer = lambda *_: (507, b"")  # as handlers answer calls
    trailers = {"x-grpc-status": "8", "x-grpc-message": "answer_too_large: 9 bytes"}
    upstream.headers = {"x-onnxserve-error": "answer_too_large", **trailers}
    message = message_of("ModelInferRequest", model_name="demo").SerializeToString()
    channel = grpc.insecure_channel(client.gateway.url.removeprefix("http://"))
    with channel, pytest.raises(grpc.RpcError) as caught:
        channel.unary_unary(f"/{SERVICE}/ModelInfer")(message, timeout=20)
    assert (caught.value.code(), caught.value.details()) == (
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        "answer_too_large: 9 bytes",
    )
    assert len(upstream.requests) == 1


@opened(deadline=Deadline(answer_s=20))
def test_deadlines_that_a_client_chose_eject_nobody(client, upstream):
    client.set_roles(stable="1.0", previous="2.0")
    upstream.answer = lambda *_: (504, b"")
    message = message_of("ModelInferRequest", model_name="demo").SerializeToString()
    with grpc.insecure_channel(client.gateway.url.removeprefix("http://")) as channel:
        call = channel.unary_unary(f"/{SERVICE}/ModelInfer")
        for _ in range(2 * EJECT_AFTER):
            with pytest.raises(grpc.RpcError):
                call(message, timeout=10)
    assert len(upstream.requests) == 2 * EJECT_AFTER
    assert "ejected" not in (client.gateway.run / "nginx.log").read_text()
    for _ in range(2 * EJECT_AFTER):
        client.post()
    wait_for(lambda: "ejected" in (client.gateway.run / "nginx.log").read_text())


def test_who_judges_a_version_sees_that_a_worker_ended_before_another_one_answered(client, upstream):
    client.set_roles(canary=Canary("2.0", 100))
    upstream.headers = {"x-onnxserve-ended": "507"}
    answer = client.post()
    assert (answer.status_code, "x-onnxserve-ended" in answer.headers) == (200, False)
    [seen] = client.observed(1)
    assert (seen["status"], seen["failed"]) == (200, "2.0 507")


@pytest.mark.parametrize("status", [500, 501, 505])
def test_no_500_of_a_model_ejects_it(client, upstream, status):
    client.set_roles(stable="1.0", previous="2.0")
    upstream.answer = failing("1.0", status)
    for _ in range(2 * EJECT_AFTER):
        client.post()
    assert "ejected" not in (client.gateway.run / "nginx.log").read_text()


@pytest.mark.parametrize("status", [503, 507])
def test_a_version_that_is_ill_is_left_alone_and_comes_back_by_itself(client, upstream, status):
    client.set_roles(stable="1.0", previous="2.0")
    upstream.answer = failing("1.0", status)
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: client.post(), range(3 * EJECT_AFTER)))
    assert {answer.status_code for answer in answers} == {200}
    assert {answer.headers["x-onnxserve-degraded"] for answer in answers} == {"fallback"}
    wait_for(lambda: "ejected" in (client.gateway.run / "nginx.log").read_text())
    left = counted(upstream, lambda: [client.post() for _ in range(5)])
    assert left == {"2.0": 5}, "an ejected version was asked"
    upstream.answer = failing("none")
    wait_for(lambda: client.post().json()["version"] == "1.0")
    back = [client.post() for _ in range(5)]
    assert {answer.json()["version"] for answer in back} == {"1.0"}
    assert not any("x-onnxserve-degraded" in answer.headers for answer in back)


def test_an_ill_version_without_another_is_still_asked(client, upstream):
    upstream.answer = failing("1.0")
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: client.post(), range(3 * EJECT_AFTER)))
    upstream.answer = failing("none")
    assert client.post().status_code == 200


def test_an_ill_canary_costs_no_answer_and_stable_is_not_ejected_with_it(client, upstream):
    client.set_roles(canary=Canary("2.0", 50))
    upstream.answer = failing("2.0")
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: client.post(), range(6 * EJECT_AFTER)))
    assert {answer.status_code for answer in answers} == {200}
    assert {answer.json()["version"] for answer in answers} == {"1.0"}
    log = (client.gateway.run / "nginx.log").read_text()
    assert '"version":"1.0"' not in log.replace("\\", "")


@opened(retry=Retry(tries=1, budget_percent=2), limits=Limits(concurrency=200), deadline=Deadline(answer_s=1))
def test_tries_that_clients_gave_up_are_not_counted_for_ever(client, upstream):
    upstream.answer, upstream.delay_s = failing("1.0"), 0.2
    for _ in range(4):  # so many may be under way
        with raw_connection(client.gateway.config.listen.port) as raw:
            upstream.requests.clear()
            raw.send(post_bytes())
            wait_for(lambda: len(upstream.requests) == 2)  # the second try is under way
    upstream.delay_s = 0.0
    wait_for(lambda: counted(upstream, client.post) == {"1.0": 2})


@opened(retry=Retry(tries=1, budget_percent=1), limits=Limits(concurrency=100, client_percent=100))
def test_a_budget_that_is_spent_lets_failures_through_and_is_there_again_afterwards(client, upstream):
    upstream.answer, upstream.delay_s = failing("1.0"), 0.3
    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda _: client.post(), range(20)))
    assert {answer.status_code for answer in answers} == {503}
    assert 20 < len(upstream.requests) <= 20 + 3 + 3  # three tries at a time are always allowed
    upstream.delay_s = 0
    assert counted(upstream, client.post) == {"1.0": 2}


def test_a_kept_connection_that_the_server_closed_meanwhile_costs_no_request(client, upstream):
    upstream.headers["connection"] = "close"
    assert {client.post(body=b"[%d]" % number).status_code for number in range(20)} == {200}
    assert len(upstream.requests) == 20


@opened(deadline=Deadline(answer_s=1), retry=Retry(tries=1))
def test_a_server_that_closes_without_an_answer_is_asked_again_and_then_said(client, upstream):
    def broken(path: str, _: bytes) -> tuple[int, bytes]:
        raise ConnectionResetError

    upstream.answer = broken
    answer = client.post()
    assert (answer.status_code, answer.json()["error"]["type"]) == (503, "unavailable")
    assert 2 <= len(upstream.requests) <= 3
