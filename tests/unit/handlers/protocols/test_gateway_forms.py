"""Limited responses for clients that may not see everything: in every form, confirmed by the handler."""

from __future__ import annotations

import io
import json
from typing import Any

import numpy as np
import pytest

from onnxserve_handlers.outputs import Outputs
from onnxserve_handlers.protocols.gateway_forms import DIGITS, LIMITED, TOP, limit_value, limited_form
from onnxserve_handlers.response import PLAIN, Response, Result
from tests.helpers.fakes import with_fake_session
from tests.helpers.inference import send
from tests.helpers.kinds import TableClassifier
from tests.helpers.messages import unframed
from tests.unit.handlers.test_response_error_header import FORMS

SCORE = 0.731059
LOGIT = 1.23456


class Precise(TableClassifier):
    """Predicts scores of all labels beside the best one."""

    def predictions(self, outputs: Outputs, rows: Any) -> list[Any]:
        return [{**row, "scores": {"yes": SCORE, "no": 1 - SCORE}} for row in super().predictions(outputs, rows)]


@pytest.fixture
def precise() -> Precise:
    handler = Precise()
    with_fake_session(handler, columns=("a", "b"), max_rows=3, max_bytes=600)
    handler.prepare()
    return handler


def request_in(form: str, **limits: str) -> tuple[bytes, dict[str, str]]:
    body, headers = FORMS[form]
    return body(LOGIT, 2), {**headers, **{f"x-onnxserve-{name}": value for name, value in limits.items()}}


def numbers(document: Any) -> list[float]:
    """Return every number with a fraction, at any depth."""
    if isinstance(document, dict):
        document = list(document.values())
    if isinstance(document, list):
        return [number for part in document for number in numbers(part)]
    return [document] if isinstance(document, float) else []


@pytest.mark.parametrize("form", FORMS)
def test_an_answer_without_limits_confirms_none(table, form):
    [(_, headers, _)] = send(table, request_in(form))
    assert LIMITED not in headers


@pytest.mark.parametrize("form", ["json", "v2"])
def test_numbers_in_json_have_as_many_decimals_as_the_client_may_know(table, form):
    exact, short = (
        json.loads(send(table, request)[0][2]) for request in (request_in(form), request_in(form, digits="2"))
    )
    assert numbers(short) == [round(number, 2) for number in numbers(exact)]
    assert numbers(short) != numbers(exact)


@pytest.mark.parametrize("form", FORMS)
def test_limits_are_confirmed_as_they_were_asked_for(table, form):
    requests = [request_in(form, digits="2"), request_in(form, top="1"), request_in(form, digits="3", top="2")]
    assert [headers[LIMITED] for _, headers, _ in send(table, *requests)] == ["2/", "/1", "3/2"]


@pytest.mark.parametrize(("name", "value"), [(DIGITS, "x"), (TOP, "-1"), (DIGITS, ""), (TOP, "²"), (DIGITS, "9" * 99)])
def test_limits_that_make_no_sense_confirm_nothing(table, name, value):
    body, headers = request_in("json")
    [(status, answer, _)] = send(table, (body, {**headers, name: value}))
    assert (status, LIMITED in answer) == (200, False)


def test_arrays_are_rounded_in_their_own_type(table):
    [(_, _, body)] = send(table, request_in("npy", digits="2"))
    array = np.load(io.BytesIO(body))
    assert array.dtype == np.float32
    np.testing.assert_array_equal(array, np.array([[0, 1.23]], np.float32))


def test_tensors_of_a_call_are_rounded(table):
    [(_, _, body)] = send(table, request_in("grpc", digits="1"))
    message = unframed(body)
    raw = dict(zip([output.name for output in message.outputs], message.raw_output_contents, strict=True))
    np.testing.assert_array_equal(np.frombuffer(raw["output_0"], "<f4"), np.array([0, 1.2], np.float32))
    np.testing.assert_array_equal(np.frombuffer(raw["score"], "<f4"), np.array([0.8], np.float32))


@pytest.mark.parametrize("requested", [[], [{"name": "output_0"}], [{"name": "label"}, {"name": "output_0"}]])
def test_with_labels_cut_no_output_of_the_graph_is_answered_though_it_was_asked_for(table, requested):
    body, headers = request_in("v2", top="1")
    document = json.dumps(json.loads(body) | {"outputs": requested}).encode()
    [(status, _, answer)] = send(table, (document, headers))
    names = {output["name"] for output in json.loads(answer)["outputs"]}
    assert (status, names) == (200, {"label"} if len(requested) == 2 else {"label", "score"})


def test_with_labels_cut_an_array_is_not_answered_but_its_prediction(table):
    [(status, _, body)] = send(table, request_in("npy", top="1"))
    assert (status, json.loads(body)["predictions"][0]["label"]) == (200, "yes")


def test_only_the_best_labels_are_answered(precise):
    [(_, _, body)] = send(precise, request_in("json", digits="1", top="1"))
    assert json.loads(body)["predictions"] == [{"label": "yes", "score": 0.8, "scores": {"yes": 0.7}}]


def test_neighbours_of_a_limited_request_get_all(table):
    short, exact = send(table, request_in("json", digits="1"), request_in("json"))
    assert json.loads(short[2])["predictions"][0]["score"] == 0.8
    assert json.loads(exact[2])["predictions"][0]["score"] == pytest.approx(0.774616)
    assert LIMITED not in exact[1]


@pytest.mark.parametrize("form", FORMS)
def test_errors_are_what_they_are_without_limits(table, form):
    _, headers = request_in(form, digits="1")
    body = FORMS[form][0](1, 2, 3)
    short, exact = send(table, (body, headers), (body, FORMS[form][1]))
    assert short == exact


@pytest.mark.parametrize(
    ("value", "short"),
    [
        ({"scores": {"a": 0.1, "b": 0.72, "c": 0.18}}, {"scores": {"b": 0.7, "c": 0.2}}),
        ({"scores": [0.1, 0.72, 0.18]}, {"scores": {"1": 0.7, "2": 0.2}}),
        ({"scores": {"a": None, "b": 0.72, "c": True}}, {"scores": {"c": True, "b": 0.7}}),
        ({"scores": 0.123}, {"scores": {}}),
        ([{"deep": [{"scores": {"a": 1, "b": 2, "c": 3}}]}], [{"deep": [{"scores": {"c": 3, "b": 2}}]}]),
        ([1, True, None, "0.123", 0.16], [1, True, None, "0.123", 0.2]),
    ],
)
def test_whatever_a_handler_predicts_is_cut_at_every_depth(value, short):
    assert limit_value(value, 1, 2) == short


def test_the_prediction_log_keeps_the_whole_answer():
    task = with_fake_session(TableClassifier(), columns=("a",))
    result = Result(task, [{"label": "a", "score": 0.123456}], Outputs(), slice(None))
    response = limited_form(PLAIN, {DIGITS: "1"}).encode_result(result)
    assert isinstance(response, Response)
    assert json.loads(response.body)["predictions"] == [{"label": "a", "score": 0.1}]
    assert json.loads(response.full_body)["predictions"] == [{"label": "a", "score": 0.123456}]
