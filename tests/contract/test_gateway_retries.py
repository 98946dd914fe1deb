"""Second tries, versions that are left alone for a while, and what answers in their place."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from onnxserve.gateway import Canary
from onnxserve.gateway.config import Deadline, Limits, Retry
from tests.gateway import opened
from tests.raw import post_bytes, raw_connection
from tests.upstream import Upstream, versioned

EJECT_AFTER = 20  # failures.js: second tries that failed within a second
MARK = {"x-onnxserve-error": "internal_error"}
OURS = json.dumps({"error": {"type": "internal_error", "reason": "r", "where": "w"}}).encode()


def wait_for(condition: Callable[[], object], seconds: float = 15) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def failing(version: str, status: int = 503) -> Callable[[str, bytes], tuple[int, bytes]]:
    """A server whose other versions answer."""
    return lambda path, _: (status, b'{"code": 1}') if path.endswith(version) else versioned(path)


def counted(upstream: Upstream, of: Callable[[], object]) -> Counter[str]:
    """Versions that were asked meanwhile."""
    upstream.seen.clear()
    of()
    return Counter(path.rpartition("/")[2] for path in upstream.paths())


@opened(retry=Retry(tries=2))
def test_a_version_is_asked_again_as_often_as_the_file_says_and_an_answer_ends_it(client, upstream):
    statuses = iter([503, 503, 200])
    upstream.answer = lambda path, _: (next(statuses), versioned(path)[1])
    answer = client.post()
    assert (answer.status_code, len(upstream.seen)) == (200, 3)
    assert "x-onnxserve-degraded" not in answer.headers
    assert len({request.headers["x-request-id"] for request in upstream.seen}) == 1
    assert {request.body for request in upstream.seen} == {b"[1, 2]"}


@opened(retry=Retry(tries=0))
def test_without_tries_nothing_is_asked_again_but_the_version_to_fall_back_to_answers(client, upstream):
    upstream.answer = failing("1.0")
    assert counted(upstream, client.post) == {"1.0": 1}
    client.label(stable="1.0", previous="2.0")
    answer = client.post()
    assert (answer.json()["version"], answer.headers["x-onnxserve-degraded"]) == ("2.0", "fallback")
    assert answer.headers["x-onnxserve-version"] == "2.0"
    assert client.logged(2)[1]["degraded"] == "fallback"


def test_a_version_that_was_named_is_never_answered_by_another(client, upstream):
    client.label(stable="1.0", previous="2.0")
    upstream.answer = failing("1.0")
    answer = client.post("/predictions/demo/1.0")
    assert (answer.status_code, answer.json()["error"]["type"]) == (503, "unavailable")
    assert set(upstream.paths()) == {"/predictions/demo/1.0"}


@pytest.mark.parametrize("status", [400, 403, 404, 409, 415, 422, 429])
def test_a_callers_fault_is_never_tried_again(client, upstream, status):
    client.label(stable="1.0", previous="2.0")
    upstream.answer = lambda *_: (status, OURS)
    assert client.post().status_code == status
    assert len(upstream.seen) == 1


def test_a_request_whose_time_is_over_is_not_tried_again(client, upstream):
    client.label(stable="1.0", previous="2.0")
    upstream.answer = failing("1.0", 504)
    assert client.post().status_code == 504
    assert upstream.paths() == ["/predictions/demo/1.0"]


def test_an_applications_own_failure_gets_its_try_keeps_its_words_and_ejects_nobody(client, upstream):
    client.label(stable="1.0", previous="2.0")
    upstream.answer, upstream.headers = (lambda path, _: (500, OURS)), MARK
    for _ in range(2 * EJECT_AFTER):
        answer = client.post()
        assert (answer.status_code, answer.json()["error"]["type"]) == (500, "internal_error")
    upstream.forget()
    assert counted(upstream, client.post) == {"1.0": 1}
    assert "ejected" not in (client.gateway.run / "nginx.log").read_text()


@pytest.mark.parametrize("status", [500, 501, 505])
def test_no_500_of_a_model_ejects_it(client, upstream, status):
    client.label(stable="1.0", previous="2.0")
    upstream.answer = failing("1.0", status)
    for _ in range(2 * EJECT_AFTER):
        client.post()
    assert "ejected" not in (client.gateway.run / "nginx.log").read_text()


@pytest.mark.parametrize("status", [503, 507])
def test_a_version_that_is_ill_is_left_alone_and_comes_back_by_itself(client, upstream, status):
    client.label(stable="1.0", previous="2.0")
    upstream.answer = failing("1.0", status)
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: client.post(), range(3 * EJECT_AFTER)))
    assert {one.status_code for one in answers} == {200}
    assert {one.headers["x-onnxserve-degraded"] for one in answers} == {"fallback"}
    wait_for(lambda: "ejected" in (client.gateway.run / "nginx.log").read_text())
    left = counted(upstream, lambda: [client.post() for _ in range(5)])
    assert left == {"2.0": 5}, "an ejected version was asked"
    upstream.answer = failing("none")
    wait_for(lambda: client.post().json()["version"] == "1.0")
    back = [client.post() for _ in range(5)]
    assert {one.json()["version"] for one in back} == {"1.0"}
    assert not any("x-onnxserve-degraded" in one.headers for one in back)


def test_an_ill_version_without_another_is_still_asked(client, upstream):
    upstream.answer = failing("1.0")
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: client.post(), range(3 * EJECT_AFTER)))
    upstream.answer = failing("none")
    assert client.post().status_code == 200


def test_an_ill_canary_costs_no_answer_and_stable_is_not_ejected_with_it(client, upstream):
    client.label(canary=Canary("2.0", 50))
    upstream.answer = failing("2.0")
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: client.post(), range(6 * EJECT_AFTER)))
    assert {one.status_code for one in answers} == {200}
    assert {one.json()["version"] for one in answers} == {"1.0"}
    log = (client.gateway.run / "nginx.log").read_text()
    assert '"version":"1.0"' not in log.replace("\\", "")


@opened(retry=Retry(tries=1, budget_percent=2), limits=Limits(concurrency=200), deadline=Deadline(answer_s=1))
def test_tries_that_clients_gave_up_are_not_counted_for_ever(client, upstream):
    upstream.answer, upstream.delay_s = failing("1.0"), 0.2
    for _ in range(4):  # so many may be under way
        with raw_connection(client.gateway.config.listen.port) as raw:
            upstream.seen.clear()
            raw.send(post_bytes())
            wait_for(lambda: len(upstream.seen) == 2)  # the second try is under way
    upstream.delay_s = 0.0
    wait_for(lambda: counted(upstream, client.post) == {"1.0": 2})


@opened(retry=Retry(tries=1, budget_percent=1), limits=Limits(concurrency=100, client_percent=100))
def test_a_budget_that_is_spent_lets_failures_through_and_is_there_again_afterwards(client, upstream):
    upstream.answer, upstream.delay_s = failing("1.0"), 0.3
    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda _: client.post(), range(20)))
    assert {one.status_code for one in answers} == {503}
    assert 20 < len(upstream.seen) <= 20 + 3 + 3  # three tries at a time are always allowed
    upstream.delay_s = 0
    assert counted(upstream, client.post) == {"1.0": 2}


def test_a_kept_connection_that_the_server_closed_meanwhile_costs_no_request(client, upstream):
    upstream.headers["connection"] = "close"
    assert {client.post(body=b"[%d]" % number).status_code for number in range(20)} == {200}
    assert len(upstream.seen) == 20


@opened(deadline=Deadline(answer_s=1), retry=Retry(tries=1))
def test_a_server_that_closes_without_an_answer_is_asked_again_and_then_said(client, upstream):
    def broken(path: str, _: bytes) -> tuple[int, bytes]:
        raise ConnectionResetError

    upstream.answer = broken
    answer = client.post()
    assert (answer.status_code, answer.json()["error"]["type"]) == (503, "unavailable")
    assert 2 <= len(upstream.seen) <= 3
