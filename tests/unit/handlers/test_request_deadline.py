"""A request whose deadline has passed gets an error without being computed; other requests aren't affected."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from onnxserve_handlers.errors import DeadlineExceeded
from onnxserve_handlers.protocols.v2_grpc import MEDIA as GRPC
from onnxserve_handlers.request import DEADLINE, LONGEST_WAIT_S, START, check_deadline
from onnxserve_handlers.telemetry.metrics import queue_seconds
from tests.helpers.inference import JSON, send
from tests.helpers.messages import unframed
from tests.unit.handlers.protocols.test_v2_grpc import GOOD

ROW = b"[1, 2]"


def headers(ago: float, allowed: str, kind: str = JSON) -> dict[str, str]:
    return {"content-type": kind, START: f"{time.time() - ago:.3f}", DEADLINE: allowed}


def test_a_late_request_is_refused_without_being_read_or_computed(table):
    late, early = send(table, (b"{not read", headers(31, "30")), (ROW, headers(1, "30")))
    assert (late[0], early[0]) == (504, 200)
    assert late[1]["x-onnxserve-error"] == "deadline_exceeded"
    error = json.loads(late[2])["error"]
    assert (error["type"], "30 s are allowed" in error["reason"]) == ("deadline_exceeded", True)
    assert table.session.batches == [1]


def test_a_batch_of_late_requests_runs_nothing(table):
    assert [status for status, _, _ in send(table, *[(ROW, headers(5, "0.25"))] * 3)] == [504] * 3
    assert table.session.batches == []


def test_a_late_call_has_grpcs_status(table):
    late, early = send(table, (GOOD, headers(31, "30", GRPC)), (GOOD, headers(1, "30", GRPC)))
    assert (late[0], late[1]["x-grpc-status"], late[2]) == (504, "4", b"")
    assert "deadline_exceeded" in late[1]["x-grpc-message"]
    assert unframed(early[2]).outputs


@pytest.mark.parametrize("allowed", ["", "x", "nan", "inf", "-inf", "-1", "0", "1e999", "3 0", "30s", {"a": 1}, None])
@pytest.mark.parametrize("start", ["0", "", "x", "nan", "-inf", "1e999", str(2**70), {}, None])
def test_headers_that_make_no_sense_are_ignored(table, allowed, start):
    sent: dict[str, Any] = {"content-type": JSON, START: start, DEADLINE: allowed}
    own = {**sent, START: f"{time.time() - 9:.3f}"}
    other = {**sent, DEADLINE: "30"}
    assert [status for status, _, _ in send(table, (ROW, sent), (ROW, own), (ROW, other), (ROW, {}))] == [200] * 4


def test_a_clock_that_jumped_does_no_harm():
    for ago in (-3600.0, LONGEST_WAIT_S + 60):
        check_deadline(headers(ago, "30"))
    with pytest.raises(DeadlineExceeded):
        check_deadline(headers(LONGEST_WAIT_S - 60, "30"))


def test_one_header_alone_says_nothing():
    check_deadline({DEADLINE: "1"})
    check_deadline({START: "1"})


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.text(), st.text())
def test_any_text_gets_an_answer(table, start, allowed):
    sent = {"content-type": JSON, START: start, DEADLINE: allowed}
    assert [status for status, _, _ in send(table, (ROW, sent), (ROW, {}))][1] == 200
    value = queue_seconds(sent, time.time())
    assert value is None or value >= 0
