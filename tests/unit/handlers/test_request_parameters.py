"""What a request asks for beside its rows: the task's parameters."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from onnxserve_handlers.inputs.table import TableOptions
from tests.helpers.fakes import FakeSession
from tests.helpers.inference import JSON, infer, send, table_handler

ROW, BROKEN = [1, 2], [7, 2]


class BreakingSession(FakeSession):
    """Gives the broken row no number."""

    def run(self, arrays: Any) -> dict[str, Any]:
        outputs = super().run(arrays)
        outputs["output_0"][arrays["features"][:, 0] == BROKEN[0]] = np.nan
        return outputs


@pytest.fixture
def handler() -> Any:
    handler = table_handler()
    handler.session = BreakingSession()
    assert isinstance(handler.signature.input, TableOptions)
    return handler


def document(*rows: Any, **parameters: Any) -> dict[str, Any]:
    return {"instances": [*rows], "parameters": parameters}


def test_a_request_gets_scores_of_as_many_labels_as_it_asks_for(handler):
    status, answer = infer(handler, document(ROW, ROW, top_k=0))
    assert status == 200
    assert [list(row["scores"]) for row in answer["predictions"]] == [["yes", "no"]] * 2
    assert sum(answer["predictions"][0]["scores"].values()) == pytest.approx(1)
    assert "scores" not in infer(handler, {"instances": [ROW]})[1]["predictions"][0]
    assert "scores" not in infer(handler, document(ROW))[1]["predictions"][0]


def test_neighbours_in_a_batch_get_what_they_asked_for_themselves(handler):
    bodies = [document(ROW, top_k=1), {"instances": [ROW]}, document(ROW, top_k=2)]
    answers = send(handler, *((json.dumps(body).encode(), {"content-type": JSON}) for body in bodies))
    rows = [json.loads(body)["predictions"][0] for _, _, body in answers]
    assert [len(row.get("scores", ())) for row in rows] == [1, 0, 2]


def test_a_task_is_never_asked_for_what_no_row_can_have(handler, monkeypatch):
    calls = list[Any]()
    monkeypatch.setattr(handler, "apply_parameters", lambda *values: calls.append(values))
    status, answer = infer(handler, document(BROKEN, top_k=0))
    assert (status, answer["error"]["type"], calls) == (500, "not_finite", [])


def test_a_row_that_is_not_finite_stays_an_error(handler):
    status, answer = infer(handler, document(ROW, BROKEN, ROW, top_k=0))
    assert status == 200
    whole = ["label", "score", "scores"]
    assert [sorted(row) for row in answer["predictions"]] == [whole, ["error"], whole]


def test_a_client_that_may_know_one_label_gets_one_whatever_it_asks_for(handler):
    _, answer = infer(handler, document(ROW, top_k=0), **{"x-onnxserve-top": "1"})
    assert list(answer["predictions"][0]["scores"]) == ["yes"]


@pytest.mark.parametrize(
    ("parameters", "status", "where"),
    [({"top_k": -1}, 422, "parameters.top_k"), ({"best": 1}, 422, "parameters"), ([1], 400, "parameters")],
)
def test_other_parameters_are_refused(handler, parameters, status, where):
    answer_status, answer = infer(handler, {"instances": [ROW], "parameters": parameters})
    assert (answer_status, answer["error"]["where"]) == (status, where)
