"""Table rows: which are accepted, and the errors of those that are refused."""

import json
from pathlib import Path

import pytest

from onnxserve_handlers.offline import OfflineContext
from tests.helpers.fakes import POISON, ask, ask_json, with_fake_session
from tests.helpers.kinds import TableClassifier


@pytest.fixture
def handler() -> TableClassifier:
    classifier = TableClassifier()
    with_fake_session(classifier, columns=("a", "b"), max_rows=3, max_bytes=600)
    classifier.prepare()
    return classifier


def test_a_list_an_object_and_several_rows_give_the_same_answer_schema(handler):
    answers = ask_json(
        handler, [1, 2], {"b": 2, "a": 1}, {"features": [1, 2]}, {"instances": [[1, 2], {"a": 1, "b": 2}]}
    )
    assert [status for status, _ in answers] == [200] * 4
    assert [len(answer["predictions"]) for _, answer in answers] == [1, 1, 1, 2]
    assert answers[0][1] == {
        "predictions": [{"label": "yes", "score": pytest.approx(0.731059)}],
        "model": "demo",
        "version": "1.0",
    }
    assert answers[0][1] == answers[1][1] == answers[2][1]


@pytest.mark.parametrize(
    ("document", "status", "kind", "where"),
    [
        ([1], 422, "invalid_row", "instances[0]"),
        ([1, "2"], 422, "invalid_row", "instances[0].b"),
        ([True, 2], 422, "invalid_row", "instances[0].a"),
        ([1, None], 422, "invalid_row", "instances[0].b"),
        ([1e39, 2], 422, "invalid_row", "instances[0].a"),
        ([10**400, 2], 422, "invalid_row", "instances[0].a"),
        ({"a": 1, "c": 2}, 422, "invalid_row", "instances[0]"),
        ("text", 422, "invalid_row", "instances[0]"),
        ({"instances": []}, 400, "undecodable_body", "instances"),
        ({"instances": [[1, 2]], "more": 1}, 400, "undecodable_body", "body"),
        ({"instances": [[1, 2]] * 4}, 413, "too_large", "instances"),
        ([0.123456789] * 60, 413, "too_large", "body"),
    ],
)
def test_a_row_outside_the_signature_is_refused_with_its_place(handler, document, status, kind, where):
    [(answer_status, answer)] = ask_json(handler, document)
    assert (answer_status, answer["error"]["type"], answer["error"]["where"]) == (status, kind, where)


@pytest.mark.parametrize("body", [b"[NaN, 1]", b"[1, 2", b"\xff\xfe", b"[" * 150, b"[1,2] x"])
def test_what_is_not_json_is_undecodable(handler, body):
    [(status, answer)] = ask(handler, (body, "application/json"))
    assert (status, answer["error"]["type"]) == (400, "undecodable_body")


def test_a_form_and_an_unknown_content_type_are_415_and_an_empty_body_400(handler):
    answers = ask(
        handler, (b"[1,2]", "application/x-www-form-urlencoded"), (b"[1,2]", "text/csv"), (b"", "application/json")
    )
    assert [status for status, _ in answers] == [415, 415, 400]


def test_several_bad_rows_of_one_request_are_reported_at_once(handler):
    [(status, answer)] = ask_json(handler, {"instances": [[1], [1, 2], ["x", 1]]})
    assert status == 422
    assert "instances[0]" in answer["error"]["reason"]
    assert "instances[2].a" in answer["error"]["reason"]


def test_a_bad_row_leaves_its_neighbours_answered(handler):
    answers = ask_json(handler, [1, 2], "bad", [3, 4])
    assert [status for status, _ in answers] == [200, 422, 200]


def test_a_client_that_asks_for_the_description_leaves_its_neighbours_answered(handler, monkeypatch):
    monkeypatch.setattr(TableClassifier, "_describe", lambda _: b'{"signature": {}}')
    context = OfflineContext(Path())
    context.headers = [{"describe": "True"}, {"Content-Type": "application/json"}, {"describe": "True"}]
    answers = handler.handle([{"body": bytearray(b"[1, 2]")}] * 3, context)
    assert [sorted(json.loads(answer)) for answer in answers] == [
        ["signature"],
        ["model", "predictions", "version"],
        ["signature"],
    ]
    assert context.statuses == {}


def test_the_row_that_breaks_the_batch_fails_alone_and_tells_nothing(handler):
    answers = ask_json(handler, [1, 2], [POISON, 2], [3, 4], [4, 4], [5, 5])
    assert [status for status, _ in answers] == [200, 500, 200, 200, 200]
    assert "secret" not in str(answers)
    assert answers[4][1]["predictions"][0]["score"] == pytest.approx(0.993307)


def test_a_request_larger_than_the_largest_batch_is_run_in_chunks(handler):
    answers = ask_json(handler, *[{"instances": [[i, j] for j in range(3)]} for i in range(3)])
    assert [status for status, _ in answers] == [200] * 3
    assert handler.session.batches == [4, 4, 1]
