"""Scores of pairs."""

from __future__ import annotations

import numpy as np
import pytest

from onnxserve_handlers.outputs import Outputs
from onnxserve_handlers.registry import task_for
from onnxserve_handlers.tasks.rerank import RerankOptions


@pytest.mark.parametrize("shape", [(2,), (2, 1)])
def test_logits_become_scores_with_seven_significant_digits(shape):
    outputs = Outputs(logits=np.array([0.0, -20.0], np.float32).reshape(shape))
    first, second = task_for(RerankOptions()).predictions(outputs, None)
    assert first == {"score": 0.5}
    assert second == {"score": 2.061154e-09}


def test_scores_stay_as_they_are():
    outputs = Outputs(scores=np.array([[0.25]], np.float32))
    assert task_for(RerankOptions(activation="none")).predictions(outputs, None) == [{"score": 0.25}]


def test_quality_is_one_less_the_distance_from_the_relevance():
    task, outputs = task_for(RerankOptions(activation="none")), Outputs(scores=np.array([0.75, 0.5, 3.0]))
    assert task.quality(outputs, [1, 0, 1]).tolist() == [0.75, 0.5, 0.0]
    assert task.agreement(outputs, outputs).tolist() == [1.0, 1.0, 1.0]


def test_a_label_is_a_number_from_0_to_1():
    task = task_for(RerankOptions())
    assert [bool(task.label_fault(label)) for label in (0, 0.5, 1, 2, -0.1, "yes", None)] == [False] * 3 + [True] * 4


def test_two_numbers_a_pair_are_told():
    task = task_for(RerankOptions())
    assert (task.outputs_fault(Outputs(first=np.zeros((4,)))), task.outputs_fault(Outputs(first=np.zeros((4, 1))))) == (
        "",
        "",
    )
    assert "(rows, 1) is expected" in task.outputs_fault(Outputs(first=np.zeros((4, 2))))


def test_documents_of_one_query_are_ranked_as_clients_see_their_scores():
    task = task_for(RerankOptions(activation="sigmoid"))
    outputs = Outputs(logits=np.array([[30.0], [40.0], [-1.0]], np.float32))
    [score] = task.ranking(outputs, [0, 1, 0], [np.arange(3)])
    assert score == pytest.approx((1 + 1 / np.log2(3)) / 2)  # both scores are 1.0 with seven digits
    [score] = task.ranking(Outputs(logits=np.array([3.0, 4.0, -1.0])), [0, 1, 0], [np.arange(3)])
    assert score == 1


def test_scores_agree_by_their_distance_as_clients_see_them():
    logits, other = (Outputs(first=np.array(values)) for values in ([0.0, 20.0], [np.log(3), 40.0]))
    sigmoid = task_for(RerankOptions(activation="sigmoid"))
    assert sigmoid.score_agreement(other, logits) == pytest.approx([0.75, 1])  # 0.5 became 0.75, and 1.0 stays
    nearly = Outputs(first=logits["first"] * (1 + 1e-9))
    assert sigmoid.score_agreement(nearly, logits).tolist() == [1, 1]  # clients see the same digits
    own = task_for(RerankOptions(activation="none"))
    assert own.score_agreement(other, logits).tolist() == own.agreement(other, logits).tolist()  # 20 is no share


@pytest.mark.parametrize("row", [["a", "b"], ("a", "b"), {"text": "a", "text_pair": "b"}])
def test_the_query_is_the_first_text_of_a_pair(row):
    assert task_for(RerankOptions()).query_of(row) == "a"


@pytest.mark.parametrize("row", [["a"], "ab", {"text": "a"}, [["a", "b"], ["c"]], [1, 2], None])
def test_what_is_no_pair_of_texts_has_no_query(row):
    assert task_for(RerankOptions()).query_of(row) is None
