"""Rows in, predictions out, against a real handler behind httpx."""

from __future__ import annotations

import itertools
import json
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import numpy as np
import pytest

from onnxserve import Client, DeadlineExceeded, RequestFailed, Retry, RowError, Unreachable
from onnxserve.client.options import Options
from onnxserve.client.predictions import Classification
from onnxserve.client.settings import Settings
from onnxserve.errors import ServerError
from tests.helpers.fakes import POISON
from tests.helpers.handler_transport import HandlerTransport, client_of, labels
from tests.helpers.inference import table_handler

MAX_ROWS = 6  # of the handler
ROWS: list[Any] = [[number - 4.5, 0] for number in range(10)]
LABELS = ["no"] * 5 + ["yes"] * 5
BUSY = {"error": {"type": "overloaded", "reason": "busy", "where": "gateway"}}


@pytest.fixture
def server() -> HandlerTransport:
    return HandlerTransport(table_handler())


def busy(**headers: str) -> httpx.Response:
    return httpx.Response(503, json=BUSY, headers=headers)


def test_predictions_come_in_the_order_of_the_rows_in_requests_that_the_model_takes(server):
    predictions = client_of(server).predict("demo", ROWS)
    assert labels(predictions) == LABELS
    assert predictions[9] == Classification("yes", 0.989013)
    assert server.sizes() == [10, 5, 5]  # the first was refused, for its rows


def test_requests_are_no_larger_than_the_caller_says(server):
    client_of(server, rows_per_request=4).predict("demo", ROWS)
    client_of(server).model("demo", rows_per_request=6).predict(ROWS)
    assert server.sizes() == [4, 4, 2, 6, 4]


def test_a_bad_row_gets_its_own_error_and_the_other_rows_are_answered(server):
    rows = [*ROWS]
    rows[2], rows[7] = ["red", 0], {"a": 1, "c": 2}
    predictions = client_of(server, rows_per_request=MAX_ROWS).predict("demo", rows)
    assert labels(predictions) == [*LABELS[:2], "! invalid_row", *LABELS[3:7], "! invalid_row", *LABELS[8:]]
    error = predictions[2]
    assert isinstance(error, RowError)
    assert (error.row, error.status, error.where) == (2, 422, "instances[2].a")
    assert error.reason == "expected a number, got a string"
    assert error.remedy
    assert len(server.requests) == 2 * 4  # each: as a whole, before the row, the row, after it


def test_a_row_that_breaks_the_model_is_isolated_though_no_place_is_named(server):
    rows = [*ROWS]
    rows[3] = [POISON, 0]
    predictions = client_of(server, rows_per_request=MAX_ROWS).predict("demo", rows)
    assert labels(predictions) == [*LABELS[:3], "! internal_error", *LABELS[4:]]


def test_a_row_whose_output_is_not_finite_has_an_error_in_its_place(server):
    predictions = client_of(server, rows_per_request=MAX_ROWS).predict("demo", [[1, 0], [1, 0]])
    assert labels(predictions) == ["yes", "yes"]
    in_place = {"error": {"type": "not_finite", "reason": "overflow", "where": "instances[1]"}}
    body = {"predictions": [{"label": "no", "score": 1.0}, in_place]}
    server.first.append(httpx.Response(200, json=body))
    answers = client_of(server).predict("demo", [[1, 0], [1, 0]])
    assert labels(answers) == ["no", "! not_finite"]
    assert isinstance(answers[1], RowError)
    assert answers[1].row == 1


@pytest.mark.parametrize(
    "row", [[float("inf"), 0], np.array([-np.inf, 0], np.float32), {"a": np.float64("inf"), "b": 0}]
)
def test_an_infinite_number_is_an_error_of_its_row_and_not_sent_as_a_missing_one(server, row):
    answers = client_of(server, rows_per_request=MAX_ROWS).predict("demo", [[1, 0], row, [-1, 0]])
    assert labels(answers) == ["yes", "! invalid_row", "no"]
    assert isinstance(answers[1], RowError)
    assert (answers[1].row, answers[1].where) == (1, "instances[1]")
    assert server.sizes() == [1, 1]


def test_a_row_alone_is_returned_or_its_error_raised(server):
    model = client_of(server).model("demo", Classification, version="1.0")
    assert model.predict_row([3, 0]).label == "yes"
    assert server.requests[0].url.path == "/predictions/demo/1.0"
    with pytest.raises(RowError, match="expected a number"):
        model.predict_row(["red", 0])


def test_no_rows_need_no_request_and_a_row_that_is_not_in_a_list_is_refused(server):
    assert client_of(server).predict("demo", []) == []
    with pytest.raises(TypeError, match=r"expected a list of rows, got str: send one row as \[row\]"):
        client_of(server).predict("demo", "good film")
    assert server.requests == []


def test_predictions_are_of_the_callers_type(server):
    @dataclass
    class Own:
        label: str

    assert client_of(server).model("demo", Own).predict([[1, 0]]) == [Own("yes")]

    @dataclass
    class Other:
        boxes: list[int]

    with pytest.raises(RequestFailed, match=r"a prediction has another form.*`boxes`"):
        client_of(server).model("demo", Other).predict([[1, 0]])


def test_parameters_go_with_every_request_and_a_bad_one_fails_the_call(server):
    model = client_of(server, rows_per_request=1).model("demo", Classification, parameters={"top_k": 2})
    assert list(model.predict_row([1, 0]).scores) == ["yes", "no"]
    assert list(model.predict_row([-1, 0]).scores) == ["no", "yes"]
    with pytest.raises(RequestFailed, match="422 invalid_row") as caught:
        client_of(server).model("demo", parameters={"top_k": -1}).predict(ROWS[:6])
    assert "(parameters.top_k)" in caught.value.where
    assert len(server.requests) == 3  # the rows aren't to blame, so they aren't sent one by one


def test_a_busy_server_is_asked_again_with_the_same_request_id(server):
    server.first += [busy(), httpx.ConnectError("refused"), busy(**{"Retry-After": "0"})]
    assert labels(client_of(server).predict("demo", ROWS[:2])) == ["no", "no"]
    assert len({request.headers["x-request-id"] for request in server.requests}) == 1
    client_of(server).predict("demo", ROWS[:2])
    assert server.requests[-1].headers["x-request-id"] != server.requests[0].headers["x-request-id"]


def test_a_call_ends_when_its_tries_do(server):
    server.first += [busy()] * 2
    with pytest.raises(RequestFailed, match="503 overloaded: busy") as caught:
        client_of(server, retry=Retry(tries=2, first_delay_s=0)).predict("demo", ROWS[:2])
    assert (caught.value.status, caught.value.type) == (503, "overloaded")
    assert caught.value.request_id == server.requests[0].headers["x-request-id"]
    server.first += [httpx.ConnectError("refused")] * 4
    with pytest.raises(Unreachable, match="no answer: refused"):
        client_of(server).predict("demo", ROWS[:2])
    assert len(server.requests) == 6


def test_a_pause_that_would_outlast_the_deadline_is_not_begun(server):
    server.first.append(busy(**{"Retry-After": "3600"}))
    with pytest.raises(RequestFailed) as caught:
        client_of(server).predict("demo", ROWS[:2], timeout_s=5)
    assert caught.value.retry_after_s == 3600


def test_a_call_without_time_is_not_sent(server):
    with pytest.raises(DeadlineExceeded, match="no answer within -1 s"):
        client_of(server).predict("demo", ROWS[:2], timeout_s=-1)
    assert server.requests == []


def test_paths_are_those_of_the_folder_in_which_the_client_was_made(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    settings = Settings(url="unix:run/s", ca="ca.pem")
    monkeypatch.chdir("/")
    assert (settings.ca, Client("unix:run/s").settings.address.path) == (str(tmp_path / "ca.pem"), Path("/run/s"))


@pytest.mark.parametrize("status", [400, 401, 403, 404, 500, 504, 507])
def test_an_error_that_another_try_would_not_change_is_raised_at_once(server, status):
    error = {"type": "some_kind", "reason": "because", "where": "gateway"}
    server.first.append(httpx.Response(status, json={"error": error}))
    with pytest.raises(RequestFailed, match=f"{status} some_kind: because"):
        client_of(server).predict("demo", ROWS[:2])
    assert len(server.requests) == 1


def test_a_gateway_that_names_a_time_is_asked_again_after_a_timeout(server):
    server.first.append(httpx.Response(504, json=BUSY, headers={"Retry-After": "0"}))
    assert labels(client_of(server).predict("demo", ROWS[:2])) == ["no", "no"]


@pytest.mark.parametrize("answer", [b"<html>", b'{"label": "yes"}', b'{"predictions": {}}'])
def test_another_server_is_recognised(server, answer):
    server.first.append(httpx.Response(200, content=answer))
    with pytest.raises(RequestFailed, match="the answer isn't one of onnxserve"):
        client_of(server).predict("demo", ROWS[:2])


def test_a_message_of_torchserve_is_the_reason(server):
    server.first.append(httpx.Response(404, json={"code": 404, "message": "Model not found: demo"}))
    with pytest.raises(RequestFailed, match="404 Model not found: demo"):
        client_of(server).predict("demo", ROWS[:2])


def test_requests_say_who_asks(server):
    tokens = itertools.count()
    own = {"X-Tenant": "a", "traceparent": "00-1"}
    client = client_of(server, key="k", token=lambda: f"t{next(tokens)}", headers=own, rows_per_request=5)
    client.predict("demo", ROWS)
    assert [request.headers["authorization"] for request in server.requests] == ["Bearer t0", "Bearer t1"]
    sent = server.requests[0].headers
    assert (sent["x-api-key"], sent["x-tenant"], sent["traceparent"]) == ("k", "a", "00-1")
    client_of(server).predict("demo", ROWS[:1])
    assert {"x-api-key", "authorization", "traceparent"} & set(server.requests[-1].headers) == set()


def test_the_span_that_is_active_is_the_parent(server, monkeypatch):
    context = SimpleNamespace(trace_id=10, span_id=11, trace_flags=1, is_valid=True)
    span = SimpleNamespace(get_span_context=lambda: context)
    monkeypatch.setitem(sys.modules, "opentelemetry.trace", SimpleNamespace(get_current_span=lambda: span))
    client_of(server).predict("demo", ROWS[:1])
    assert server.requests[0].headers["traceparent"] == f"00-{10:032x}-{11:016x}-01"


def test_the_options_by_name_are_the_fields_of_the_settings():
    assert {entry.name for entry in fields(Settings)} == {*Options.__annotations__, "url"}


@pytest.mark.parametrize("name", ["timeout_s", "rows_per_request", "concurrency"])
def test_settings_that_can_not_work_are_refused(name):
    with pytest.raises(ValueError, match=f"{name} must be above 0, got 0"):
        Settings(**{name: 0})  # type: ignore[arg-type]  # any setting


def test_files_are_sent_as_base64(server):
    server.first += [httpx.Response(200, json={"predictions": [{"label": "x", "score": 1.0}] * 2})] * 1
    client_of(server).predict("demo", [b"\x89PNG", {"image": b"\x89PNG"}])
    assert json.loads(server.requests[0].content) == {"instances": [{"b64": "iVBORw=="}, {"image": "iVBORw=="}]}


def test_an_answer_that_comes_byte_by_byte_ends_with_the_deadline(server):
    def dripping() -> Iterator[bytes]:
        end = time.monotonic() + 60
        while time.monotonic() < end:
            yield b" "
            time.sleep(0.01)

    server.first.append(httpx.Response(200, content=dripping()))
    with pytest.raises(DeadlineExceeded, match=r"no answer within 0\.2 s"):
        client_of(server).predict("demo", ROWS[:2], timeout_s=0.2)


def test_a_name_stays_one_part_of_the_path(server):
    client_of(server).model("demo", version="1.0/../2?x").predict(ROWS[:1])
    assert server.requests[0].url.raw_path == b"/predictions/demo/1.0%2F..%2F2%3Fx"


def test_secrets_are_not_shown():
    settings = Settings(key="geheim", token="geheim", headers={"x-tenant": "geheim"})
    assert "geheim" not in repr(settings)
    with Client(key="geheim") as client:
        assert "geheim" not in repr(
            client.settings.address_request(client.model("demo")._calls._json_form().encode([]))
        )


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({"key": "geheim\n"}, "x-api-key"),
        ({"token": lambda: "geheim\r\nx-tenant: b"}, "authorization"),
        ({"headers": {"x-tenant": "gehe\u2026im"}}, "x-tenant"),
    ],
)
def test_a_value_that_no_header_can_have_is_refused_without_being_shown(server, options, name):
    with pytest.raises(ServerError, match=f"the value of {name} has") as caught:
        client_of(server, **options).predict("demo", ROWS[:1])
    assert "gehe" not in f"{caught.value}{caught.value.__cause__}{caught.value.__context__}"
    assert server.requests == []


@pytest.mark.parametrize("url", ["127.0.0.1:8000", "ftp://server", ""])
def test_a_url_without_its_scheme_is_refused_at_once(url):
    with pytest.raises(ServerError, match=r"is no server's URL(.|\n)*http://127\.0\.0\.1:8000"):
        Client(url)


@pytest.mark.parametrize("content", [None, b"no certificate"])
def test_a_file_without_a_certificate_is_named(content, tmp_path):
    path = tmp_path / "ca.pem"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ServerError, match="no certificate can be read") as caught:
        Client("https://server", ca=str(path))
    assert caught.value.where == str(path)
