"""Multilabel: every label whose score reaches the threshold, the best first."""

from __future__ import annotations

import numpy as np
import pytest

from onnxserve_handlers.outputs import Outputs
from onnxserve_handlers.registry import task_for
from onnxserve_handlers.tasks.multilabel import MultilabelOptions, f1_of_flags

LABELS = ("cat", "dog", "cow")
SCORES = np.array([[0.9, 0.2, 0.6], [0.1, 0.2, 0.3]])
LOGITS = np.log(SCORES / (1 - SCORES)).astype(np.float32)


@pytest.mark.parametrize(("outputs", "activation"), [(LOGITS, "auto"), (LOGITS, "sigmoid"), (SCORES, "none")])
def test_labels_at_the_threshold_or_above_are_predicted_with_the_scores_of_all(outputs, activation):
    task = task_for(MultilabelOptions(labels=LABELS, activation=activation))
    first, second = task.predictions(Outputs(first=outputs), None)
    assert first["labels"] == ["cat", "cow"]
    assert list(first["scores"]) == ["cat", "cow", "dog"]
    assert first["scores"] == pytest.approx({"cat": 0.9, "cow": 0.6, "dog": 0.2}, abs=1e-6)
    assert second["labels"] == []
    assert task.score(first) == pytest.approx(0.9, abs=1e-6)
    assert (task.label(first), task.label(second), task.label({"error": {}})) == ("cat", None, None)


def test_the_threshold_is_an_option():
    task = task_for(MultilabelOptions(labels=LABELS, activation="none", threshold=0.3))
    assert [row["labels"] for row in task.predictions(Outputs(first=SCORES), None)] == [["cat", "cow"], ["cow"]]


def test_drift_compares_the_best_score_and_the_number_of_labels():
    task = task_for(MultilabelOptions(labels=LABELS, activation="none"))
    measures = task.prediction_measures(task.predictions(Outputs(first=SCORES), None))
    assert {name: values.tolist() for name, values in measures.items()} == {"score": [0.9, 0.3], "labels": [2, 0]}


def test_the_metric_is_the_f1_of_each_row():
    task = task_for(MultilabelOptions(labels=LABELS, activation="none"))
    assert task.quality(Outputs(first=SCORES), [["cat", "cow"], ["dog"]]) == pytest.approx([1, 0])
    assert task.quality(Outputs(first=SCORES), ["cat", None]) == pytest.approx([2 / 3, 1])
    assert task.agreement(Outputs(first=SCORES), Outputs(first=SCORES[::-1])).tolist() == [0, 0]
    assert f1_of_flags(np.array([[True, True]]), np.array([[True, False]])).tolist() == [pytest.approx(2 / 3)]


def test_each_label_of_a_row_must_be_the_models():
    task = task_for(MultilabelOptions(labels=LABELS))
    assert task.unknown_labels(["cat", "hen", "ant"]) == ["ant", "hen"]
    assert task.unknown_labels([]) == []
