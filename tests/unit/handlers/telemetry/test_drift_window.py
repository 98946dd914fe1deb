"""One row that comes again and again makes no window, and frequent rows of a population keep their share."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

from onnxserve_export.profile import profile
from onnxserve_handlers.outputs import Outputs
from onnxserve_handlers.registry import task_alone
from onnxserve_handlers.telemetry.drift import FALSE_ALARM, LEAST_REQUESTS, WINDOW_ROWS, Drift, Profile
from onnxserve_handlers.telemetry.drift_window import DriftWindow, row_key, times_seen
from tests.helpers.kinds import table_signature

CLASSIFIER = task_alone("classification", table_signature("x", labels=("a", "b")))
OUTPUTS = np.array([[2.0, 0.0], [0.0, 2.0]])


class Rows:
    """A handler whose rows are lists of one number; the label is its sign."""

    label, prediction_measures = staticmethod(CLASSIFIER.label), staticmethod(CLASSIFIER.prediction_measures)

    def measures(self, rows):
        return {"x": np.array(rows)[:, 0]}


def p_values_of(proven: np.ndarray, most_alike: int, batches: list[list[list[list[float]]]]) -> list[float]:
    """Return the p-value of each window; a batch has requests, which have rows."""
    document = profile({"x": proven}, Outputs(first=OUTPUTS[(proven > 0).astype(int)]), CLASSIFIER)
    known, p_values = msgspec.convert({**document, "most_alike": most_alike}, Profile), list[float]()
    drift = Drift(known, lambda *_: None, p_values.append, now=lambda: 0.0)
    for requests in batches:
        signs = np.array([row[0] > 0 for rows in requests for row in rows], int)
        predictions = CLASSIFIER.predictions(Outputs(first=OUTPUTS[signs]), None)
        drift.add(requests, predictions, Rows())
    return p_values


def lone(values) -> list[list[list[list[float]]]]:
    """Return a batch for each value, as the only row of its request."""
    return [[[[float(value)]]] for value in values]


def continuous(seed: int, count: int, shift: float = 0.0) -> np.ndarray:
    return np.random.default_rng(seed).normal(shift, 1, count)


@pytest.mark.parametrize("repeated", [500, 1000, 1800])
def test_one_row_that_a_client_sends_again_and_again_raises_no_alarm(repeated):
    for seed in range(5):
        values = np.concatenate([continuous(seed, WINDOW_ROWS - repeated), np.full(repeated, 0.3)])
        np.random.default_rng(seed).shuffle(values)
        [limited] = p_values_of(continuous(99, 1000), 1, lone(values))
        [unlimited] = p_values_of(continuous(99, 1000), 0, lone(values))
        assert unlimited < FALSE_ALARM < limited


def test_a_shift_of_the_others_is_seen_beside_it():
    values = np.concatenate([continuous(1, 1000, shift=0.5), np.full(1000, 0.3)])
    assert p_values_of(continuous(99, 1000), 1, lone(values))[0] < FALSE_ALARM


def test_a_population_of_few_rows_raises_no_alarm_and_another_of_the_same_rows_does():
    draw, values, shares = np.random.default_rng(4), np.array([-1.0, 0.5, 2.0]), [0.6, 0.3, 0.1]
    proven = draw.choice(values, 1000, p=shares)
    most = int(np.unique(proven, return_counts=True)[1].max())
    alike = [p_values_of(proven, most, lone(draw.choice(values, WINDOW_ROWS, p=shares)))[0] for _ in range(20)]
    assert min(alike) > FALSE_ALARM
    assert p_values_of(proven, most, lone(draw.choice(values, WINDOW_ROWS, p=[0.3, 0.3, 0.4])))[0] < FALSE_ALARM


def test_a_request_of_many_copies_says_as_little_as_its_rows_are_few():
    draw = np.random.default_rng(5)
    batches = [[[[value]] * 100] for value in draw.normal(size=10 * LEAST_REQUESTS).tolist()]
    p_values = p_values_of(continuous(99, 1000), 0, batches)
    assert len(p_values) == 10
    assert min(p_values) > FALSE_ALARM


def test_a_window_waits_for_enough_requests():
    rows = continuous(6, WINDOW_ROWS).reshape(-1, 1).tolist()
    assert p_values_of(continuous(99, 1000), 1, [[rows]] * (LEAST_REQUESTS - 1)) == []
    assert len(p_values_of(continuous(99, 1000), 1, [[rows]] * LEAST_REQUESTS)) == 1


def test_answers_that_lack_some_rows_count_as_one_requests():
    window = DriftWindow({"x": 2, "score": 2}, 0.1)
    window.add([[[1.0]], [[2.0], [3.0]]], {"x": np.array([0, 1, 1]), "score": np.array([0, 1])})
    assert window.table("x").tolist() == [[1, 0], [0, 2]]
    assert window.table("score").tolist() == [[1, 1], [0, 0]]
    assert (window.seen("score").tolist(), window.rows, window.requests) == ([1, 1], 3, 2)


def test_equal_rows_count_together_as_much_as_the_most_frequent_one_of_the_proof():
    window = DriftWindow({"x": 2}, 0.3)
    window.add([[[1.0]]] * 8 + [[[2.0]], [[3.0]]], {"x": np.array([0] * 8 + [1, -1])})
    assert window.table("x").sum(axis=0).tolist() == pytest.approx([3, 1])
    assert window.seen("x").tolist() == [8, 1]


def test_equal_rows_have_one_key_and_others_their_own():
    pixels = np.arange(6, dtype=np.uint8)
    assert row_key([1.5, "a", None]) == row_key([1.5, "a", None]) != row_key([1.5, "b", None])
    assert row_key(pixels) == row_key(pixels.copy()) != row_key(pixels[::-1])
    assert row_key(lambda: None) != row_key(lambda: None)
    assert times_seen(np.array([7, 8, 7])).tolist() == [2, 1, 2]
