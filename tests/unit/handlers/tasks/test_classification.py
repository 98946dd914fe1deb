"""outputs -> predictions: every way to compute them gives the same result."""

import numpy as np
import pytest

from onnxserve_handlers.outputs import FEW
from onnxserve_handlers.tasks.classification import classify_rows

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
