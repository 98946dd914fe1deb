"""A regression's values keep their digits; drift, canary and shadow get its numbers."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from onnxserve_handlers.tasks.regression import MOST_LEADING, Regression, leading_numbers, plain_rows, weighted_sum


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


def test_the_score_of_one_value_is_the_value_and_that_of_several_tells_them_apart():
    task = Regression()
    assert task.score({"values": [2.5]}) == 2.5
    scores = [task.score({"values": values}) for values in ([2.5, 1.0], [1.0, 2.5], [2.5, 1.1], [2.5, -1.0])]
    assert len(set(scores)) == len(scores)
    assert None not in scores
    assert task.score({"error": {}}) is None
    assert task.score({"values": []}) is None


def test_a_score_is_finite_and_of_numbers_alone():
    assert weighted_sum(np.array([1.7e308, 1.7e308])) is None
    assert leading_numbers([[1, [2.5]], True, "text", None]).tolist() == [1, 2.5, 1]
    assert leading_numbers([0.0] * (MOST_LEADING + 1)).shape == (MOST_LEADING,)
