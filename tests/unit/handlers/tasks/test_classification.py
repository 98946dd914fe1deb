"""outputs -> predictions: every way to compute them gives the same result."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from onnxserve_handlers.tasks.classification import FEW, classify_rows, plain_rows

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


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (5.2e-7, 5.2e-7),
        (-3.123456789e-11, -3.123457e-11),
        (0.1, 0.1),
        (123.4567891, 123.4568),
        (16777215.0, 16777215.0),
        (1e30, float(np.float32(1e30))),
        (1e-45, 1.401298e-45),
        (0.0, 0.0),
    ],
)
def test_a_value_keeps_its_digits_however_small_or_large_it_is(value, shown):
    [row] = plain_rows(np.array([[value]], np.float32))
    assert row["values"] == [pytest.approx(shown, rel=1e-12, abs=0)]


@given(st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=1, max_size=9))
def test_values_are_those_of_the_graph_to_seven_digits(values):
    given_ = np.array([values], np.float32)
    [row] = plain_rows(given_)
    np.testing.assert_allclose(row["values"], given_[0].astype(np.float64), rtol=5e-7)
