"""outputs -> predictions: every way to compute them gives the same result."""

from dataclasses import replace

import numpy as np
import pytest

from onnxserve_handlers.errors import InvalidRow
from onnxserve_handlers.outputs import FEW, Outputs
from onnxserve_handlers.registry import task_for
from onnxserve_handlers.tasks.classification import ClassificationOptions, classify_rows, probabilities
from tests.helpers.fakes import ask_json, with_fake_session
from tests.helpers.kinds import TableClassifier

LABELS = ("a", "b", "c", "d")
ROWS = FEW // len(LABELS)


def test_a_row_scores_alike_alone_and_in_a_batch_too_large_for_the_short_way():
    logits = np.random.default_rng(7).normal(0, 6, (50 * ROWS, len(LABELS))).astype(np.float32)
    together = classify_rows(logits, LABELS)
    assert together == [prediction for row in logits for prediction in classify_rows(row[None], LABELS)]


@pytest.mark.parametrize("count", [1, ROWS + 1])
def test_extreme_logits_neither_overflow_nor_divide_by_zero(count):
    logits = np.array([[3e38, -3e38, 0, 0]] * count, np.float32)
    assert classify_rows(logits, LABELS) == [{"label": "a", "score": 1.0}] * count


@pytest.mark.parametrize("count", [1, ROWS + 1])
def test_of_equal_logits_the_first_label_wins(count):
    logits = np.zeros((count, len(LABELS)), np.float32)
    assert classify_rows(logits, LABELS) == [{"label": "a", "score": 0.25}] * count


@pytest.mark.parametrize("count", [1, ROWS + 1])
def test_scores_that_are_probabilities_already_are_not_made_scores_again(count):
    outputs = np.array([[0.1, 0.864, 0.016, 0.02]] * count, np.float32)
    assert classify_rows(outputs, LABELS, "none") == [{"label": "b", "score": 0.864}] * count


@pytest.mark.parametrize("count", [1, ROWS + 1])
def test_a_sigmoid_scores_the_best_label_by_itself(count):
    logits = np.array([[-800.0, 2.0, 1.0, 800.0], [0.0, -1.0, -2.0, -3.0]] * count, np.float32)
    predictions = [{"label": "d", "score": 1.0}, {"label": "a", "score": 0.5}] * count
    assert classify_rows(logits, LABELS, "sigmoid") == predictions
    assert probabilities(logits, "sigmoid")[0, 0] == 0


@pytest.mark.parametrize(
    ("top_k", "scores"),
    [(2, {"b": 0.6, "c": 0.2}), (0, {"b": 0.6, "c": 0.2, "a": 0.1, "d": 0.1})],
)
def test_scores_of_more_labels_are_an_option(top_k, scores):
    task = task_for(ClassificationOptions(labels=LABELS, activation="none", top_k=top_k))
    [row] = task.predictions(Outputs(first=np.array([[0.1, 0.6, 0.2, 0.1]])), None)
    assert row == {"label": "b", "score": 0.6, "scores": scores}
    assert list(row["scores"]) == list(scores)
    assert "scores" in task.prediction_schema()["properties"]


def test_a_request_may_ask_for_scores_of_more_labels():
    task = task_for(ClassificationOptions(labels=LABELS, activation="none"))
    outputs = Outputs(first=np.array([[0.1, 0.6, 0.2, 0.1]]))
    rows = task.predictions(outputs, None)
    assert task.apply_parameters(rows, outputs, {"top_k": 2}) == [
        {"label": "b", "score": 0.6, "scores": {"b": 0.6, "c": 0.2}}
    ]
    assert len(task.apply_parameters(rows, outputs, {"top_k": 0})[0]["scores"]) == 4
    assert "scores" not in rows[0]


@pytest.mark.parametrize("parameters", [{"top_k": -1}, {"top_k": "2"}, {"top_k": True}, {"top": 2}])
def test_other_parameters_are_refused(parameters):
    with pytest.raises(InvalidRow) as raised:
        task_for(ClassificationOptions(labels=LABELS)).check_parameters(parameters)
    assert raised.value.where.startswith("parameters")


def test_quality_and_agreement_are_hits():
    task = task_for(ClassificationOptions(labels=LABELS))
    outputs, others = Outputs(first=np.eye(4)[:2]), Outputs(first=np.eye(4)[[0, 3]])
    assert task.quality(outputs, ["a", "c"]) == pytest.approx([1, 0])
    assert task.agreement(outputs, others).tolist() == [1, 0]


def test_an_answer_holds_the_models_own_probability():
    handler = TableClassifier()
    with_fake_session(handler, columns=("a", "b"))  # whose second output is the first column
    handler.prepare()
    output = ClassificationOptions(labels=handler.signature.labels, activation="none")
    handler.signature = replace(handler.signature, output=output)
    [(status, answer)] = ask_json(handler, [0.864, 2])
    assert (status, answer["predictions"]) == (200, [{"label": "yes", "score": 0.864}])
