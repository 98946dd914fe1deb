"""While the gateway compares versions, a header holds the predictions of a response."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest

from onnxserve.release.observations import Observation
from onnxserve_handlers.errors import InternalError
from onnxserve_handlers.protocols.gateway_forms import MOST_BYTES, OBSERVE, PAIR, PREDICTIONS, ROWS, encode_predictions
from onnxserve_handlers.tasks import TaskHooks
from onnxserve_handlers.tasks.regression import Regression
from onnxserve_handlers.telemetry.prediction_log import VARIABLE
from tests.helpers.fakes import POISON
from tests.helpers.inference import send
from tests.unit.handlers.protocols.test_gateway_forms import request_in
from tests.unit.handlers.test_response_error_header import FORMS


def observed(form: str, **limits: str) -> tuple[bytes, dict[str, str]]:
    return request_in(form, observe="1", **limits)


def read(text: str) -> Observation:
    return Observation("p", "r", "demo", "1.0", 200, 0.1, summary=text)


@pytest.mark.parametrize("form", FORMS)
def test_an_answer_of_any_form_says_beside_it_what_it_says(table, form):
    body, headers = observed(form)
    [(status, answer, _)] = send(table, (body, headers))
    assert (status, json.loads(answer[PREDICTIONS])) == (200, [{"label": "yes", "score": pytest.approx(0.774616)}])
    [(_, without, _)] = send(table, request_in(form))
    assert PREDICTIONS not in without


@pytest.mark.parametrize("form", FORMS)
def test_a_limited_client_gets_less_and_the_observer_all(table, form):
    [(_, limited, _)] = send(table, observed(form, digits="1", top="1"))
    assert json.loads(limited[PREDICTIONS]) == [{"label": "yes", "score": pytest.approx(0.774616)}]


def test_a_regression_says_its_few_values_too_and_many_are_one_score():
    few, many = {"values": [1e5, 0.02]}, {"values": [0.5] * 20}
    task = Regression()
    [row] = json.loads(encode_predictions([few], task))
    assert row == {"score": task.score(few), "values": [1e5, 0.02]}
    assert read(f"[{json.dumps(row)}]").predictions[0].values == (1e5, 0.02)
    assert json.loads(encode_predictions([many], task)) == [{"score": task.score(many)}]


def test_a_refusal_says_nothing(table):
    answers = send(table, (b"[1]", {OBSERVE: "1"}), (json.dumps([POISON, 1]).encode(), {OBSERVE: "1"}))
    assert [(status, PREDICTIONS in headers) for status, headers, _ in answers] == [(422, False), (500, False)]


def test_many_rows_are_cut_where_the_header_would_be_too_long_and_their_number_is_said():
    text = encode_predictions([{"label": f"label {row}", "score": 0.5} for row in range(1000)], TaskHooks())
    assert len(text) <= MOST_BYTES
    seen = read(text)
    assert len(seen.labels) > 50
    assert seen.labels == [f"label {row}" for row in range(len(seen.labels))]
    assert json.loads(text)[-1] == 1000


@pytest.mark.parametrize("label", ["é\n\0", "日本" * 100, '"quoted"', "x" * 10_000])
def test_a_header_is_ascii_of_one_line_whatever_a_label_holds(label):
    text = encode_predictions([{"label": label, "score": 0.5}, {"label": "b", "score": 0.5}], TaskHooks())
    assert text.isascii()
    assert text.isprintable()
    assert len(text) <= MOST_BYTES
    assert read(text).labels == ([label, "b"] if len(label) < 10_000 else [])


@pytest.mark.parametrize(
    ("prediction", "note"),
    [
        ({"label": "a", "score": 1}, {"label": "a", "score": 1.0}),
        ({"values": [1.0]}, {}),
        ({"label": 7, "score": float("nan")}, {}),
        ("text", {}),
        (None, {}),
        (InternalError(), {}),
        (SimpleNamespace(label="a", score=0.5), {"label": "a", "score": 0.5}),
    ],
)
def test_of_a_prediction_label_and_score_are_noted_as_far_as_it_has_them(prediction: Any, note: dict[str, Any]):
    assert json.loads(encode_predictions([prediction], TaskHooks())) == [note]
    assert len(read(encode_predictions([prediction], TaskHooks())).predictions) == 1


def copied(table: Any, body: bytes) -> tuple[int, str]:
    """Return status and rows of a request's copy to a shadow."""
    [(status, headers, _)] = send(table, (body, {OBSERVE: "1", PAIR: "p"}))
    return status, headers[ROWS]


def test_a_copy_says_its_rows_as_far_as_they_may_be_kept(table, monkeypatch):
    [first, second] = table.signature.input.columns
    monkeypatch.setenv(VARIABLE, json.dumps({"folder": "", "percent": 0, "redact": [second.upper()]}))
    body = {"instances": [[1, 2], {first: 3, second: 4}]}
    status, rows = copied(table, json.dumps(body).encode())
    redacted = [{first: 1.0, second: "redacted"}, {first: 3, second: "redacted"}]
    assert (status, json.loads(rows)) == (200, redacted)
    status, rows = copied(table, json.dumps({"instances": [[1, 2], ["secret"]]}).encode())
    assert (status, json.loads(rows)) == (422, [{first: 1, second: "redacted"}, "redacted"])
    status, rows = copied(table, json.dumps({"instances": [[1, 2]] * 3}).encode())
    assert rows.isascii()
    assert len(json.loads(rows)) == 3


def test_only_a_copy_says_rows_and_none_where_inputs_are_not_kept(table, monkeypatch):
    [(_, headers, _)] = send(table, (b"[1, 2]", {OBSERVE: "1"}))
    assert ROWS not in headers
    assert json.loads(copied(table, b"[1, 2]")[1]) == [
        dict(zip(table.signature.input.columns, (1.0, 2.0), strict=True))
    ]
    monkeypatch.setenv(VARIABLE, json.dumps({"folder": "", "inputs": False}))
    assert copied(table, b"[1, 2]") == (200, "")
