"""Rows in arrays and rows in requests go through the same stages and get the same results, to the last bit."""

from __future__ import annotations

import json

import numpy as np
import pytest

from onnxserve.archive import unpack
from onnxserve_handlers.bulk import Bulk
from onnxserve_handlers.errors import InternalError
from onnxserve_handlers.offline import OfflineContext
from tests.helpers.kinds import TableClassifier


@pytest.fixture(scope="module")
def folder(archive, tmp_path_factory):
    unpacked = tmp_path_factory.mktemp("unpacked")
    unpack(archive, unpacked)
    return unpacked


@pytest.fixture(scope="module")
def bulk(folder) -> Bulk:
    return Bulk(folder, {"threads": 1})


def ask_handler(bulk: Bulk, rows: list[list[float]]) -> list[dict[str, object]]:
    body = json.dumps({"instances": rows}).encode()
    [answer] = bulk.handler.handle([{"body": body}], OfflineContext(bulk.handler.folder))
    predictions: list[dict[str, object]] = json.loads(answer)["predictions"]
    return predictions


def test_columns_rows_and_requests_have_the_same_answers(bulk):
    rows = np.random.default_rng(7).normal(size=(50, 2)) * 2
    columns = bulk.score_columns({"x": rows[:, 0], "y": rows[:, 1]})
    values = bulk.score_values(rows.tolist())
    labels = bulk.handler.signature.labels
    assert columns.label is not None
    assert columns.score is not None
    assert values.label is not None
    assert np.array_equal(columns.outputs["output_0"], values.outputs["output_0"])
    online = ask_handler(bulk, rows.tolist())
    assert [labels[index] for index in columns.label] == [labels[index] for index in values.label]
    assert [(labels[index], score) for index, score in zip(columns.label, columns.score.tolist(), strict=True)] == [
        (row["label"], row["score"]) for row in online
    ]


def test_bad_rows_get_their_reason_and_leave_the_others_alone(bulk):
    rows = np.array([[0.0, 0.1], [np.nan, 1], [1e39, 0], [3, 3]])
    clean = bulk.score_columns({"x": rows[[0, 3], 0], "y": rows[[0, 3], 1]})
    scored = bulk.score_columns({"x": rows[:, 0], "y": rows[:, 1]})
    assert scored.kept.tolist() == [0, 3]
    assert np.array_equal(scored.outputs["output_0"], clean.outputs["output_0"])
    assert scored.errors[1].reason == "expected a number, got null"
    assert scored.errors[2].reason == "the number is not finite in float32"
    values = bulk.score_values([[0.0, 0.1], [None, 1], "no", [3, 3]])
    assert values.kept.tolist() == [0, 3]
    assert sorted(values.errors) == [1, 2]


def test_a_row_that_breaks_the_model_is_found_by_halves(bulk, monkeypatch):
    run = type(bulk.handler).run

    def breaks(self, tensors):
        if (tensors["features"] == 13).any():
            raise RuntimeError("the graph crashed")
        return run(self, tensors)

    monkeypatch.setattr(type(bulk.handler), "run", breaks)
    rows = [[float(index), 0.5] for index in range(30)]
    for scored in (
        bulk.score_values(rows),
        bulk.score_columns({"x": np.arange(30.0), "y": np.full(30, 0.5)}),
    ):
        assert scored.kept.tolist() == [index for index in range(30) if index != 13]
        assert isinstance(scored.errors[13], InternalError)
        assert scored.label is not None
        assert len(scored.label) == 29


def test_nothing_good_is_no_prediction(bulk):
    scored = bulk.score_columns({"x": np.array([np.nan]), "y": np.array([1.0])})
    assert (scored.kept.tolist(), scored.label, list(scored.errors)) == ([], None, [0])


def test_golden_rows_are_proven_in_batches_as_large_as_the_jobs(folder):
    assert Bulk(folder, {"threads": 1}, batch=3000).deviation < 1e-3


def test_a_handler_with_checks_of_its_own_is_asked_row_by_row(folder, monkeypatch):
    class Strict(TableClassifier):
        def check(self, instance, where):
            return super().check(instance, where)

    assert not Strict().columnar()
    assert TableClassifier().columnar()
