"""When a request is sent again, and after how long, on a clock of the test's own."""

from __future__ import annotations

from email.utils import formatdate
from typing import Any

import pytest

from onnxserve.client.errors import DeadlineExceeded
from onnxserve.client.exchange import Deadline, Incoming, Outgoing, run
from onnxserve.client.retry import Retry, retry_after, with_retries

REQUEST = Outgoing("/predictions/demo")


class Clock:
    """Time that passes only in pauses and requests."""

    def __init__(self, answers: list[tuple[Incoming, float]]) -> None:
        self.now = 0.0
        self.pauses: list[float] = []
        self.timeouts: list[float] = []
        self.answers = iter(answers)

    def send(self, outgoing: Outgoing) -> Incoming:
        self.timeouts.append(outgoing.timeout_s)
        incoming, seconds = next(self.answers)
        self.now += seconds
        return incoming

    def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now += seconds

    def ask(self, seconds: float, **retry: Any) -> Incoming:
        return run(with_retries(REQUEST, Deadline(seconds, lambda: self.now), Retry(**retry)), self.send, self.sleep)


def refused(status: int = 503, took_s: float = 0.0, **headers: str) -> tuple[Incoming, float]:
    return Incoming(status, b"", {name.replace("_", "-"): value for name, value in headers.items()}), took_s


ANSWERED = (Incoming(200), 0.0)


def test_pauses_are_as_long_as_the_server_says_and_a_little_longer():
    clock = Clock([refused(retry_after="2"), refused(429, retry_after="1"), ANSWERED])
    assert clock.ask(60).status == 200
    assert all(named <= pause <= named * 1.25 for pause, named in zip(clock.pauses, (2, 1), strict=True))


def test_pauses_double_where_the_server_names_none():
    clock = Clock([refused(), refused(502), refused(0), ANSWERED])
    clock.ask(60, first_delay_s=1, longest_delay_s=3)
    assert all(least <= pause <= least * 1.25 for pause, least in zip(clock.pauses, (1, 2, 3), strict=True))


def test_a_request_gets_what_is_left_of_the_deadline():
    clock = Clock([refused(took_s=4, retry_after="1"), ANSWERED])
    clock.ask(10)
    assert clock.timeouts[0] == 10
    assert 4.5 < clock.timeouts[1] <= 5


def test_the_last_answer_is_returned_if_the_pause_would_outlast_the_deadline():
    clock = Clock([refused(took_s=4, retry_after="7")])
    assert clock.ask(10).status == 503
    assert clock.pauses == []


def test_no_answer_within_the_deadline_is_an_error_of_its_own():
    with pytest.raises(DeadlineExceeded, match="no answer within 10 s"):
        Clock([refused(0, took_s=10)]).ask(10)
    with pytest.raises(DeadlineExceeded, match="no answer within 10 s"):
        Clock([refused(504, took_s=9.995)]).ask(10)  # a gateway that was told the deadline


SOON = {"retry_after": "0"}


@pytest.mark.parametrize(
    ("status", "headers", "requests"), [(500, SOON, 1), (507, {}, 1), (504, {}, 1), (507, SOON, 2), (504, SOON, 2)]
)
def test_only_what_another_try_can_change_is_tried_again(status, headers, requests):
    clock = Clock([refused(status, **headers)] * 2)
    assert clock.ask(10, tries=2).status == status
    assert len(clock.timeouts) == requests


@pytest.mark.parametrize(("value", "seconds"), [("120", 120), ("0", 0), ("soon", None), ("", None), ("-1", None)])
def test_a_time_is_a_number_of_seconds(value, seconds):
    assert retry_after(value) == seconds


def test_a_time_may_be_a_date():
    assert retry_after(formatdate(1_000_030, usegmt=True), now=lambda: 1_000_000.0) == 30
    assert retry_after(formatdate(999_000, usegmt=True), now=lambda: 1_000_000.0) == 0
