"""Raw outputs: canary, shadow and drift get numbers of them, whatever they are."""

from __future__ import annotations

import numpy as np
import pytest

from onnxserve_handlers.outputs import FreeAxis, Outputs, with_sizes
from onnxserve_handlers.registry import task_for
from onnxserve_handlers.tasks.raw import MOST_MEASURED, RawOptions
from onnxserve_handlers.tasks.regression import MOST_VALUES

TASK = task_for(RawOptions())
EACH = np.arange(12, dtype=np.float32).reshape(2, 3, 2)
COUNT = np.array([3, 4])


def test_every_output_of_a_row_is_answered():
    assert TASK.predictions(Outputs(each=EACH, count=COUNT), None)[1] == {
        "outputs": {"each": [[6, 7], [8, 9], [10, 11]], "count": 4}
    }


def test_an_answer_that_differs_in_any_output_has_another_score():
    changed = EACH.copy()
    changed[1, 2, 1] += 0.5
    versions = [
        Outputs(each=EACH, count=COUNT),
        Outputs(each=changed, count=COUNT),
        Outputs(each=EACH, count=COUNT + 1),
    ]
    scores = [TASK.score(TASK.predictions(outputs, None)[1]) for outputs in versions]
    assert len({*scores}) == len(scores)
    assert None not in scores
    assert TASK.score({"error": {}}) is None


def test_drift_gets_mean_and_spread_of_each_output_and_the_number_of_one_that_has_no_more():
    measures = TASK.prediction_measures([*TASK.predictions(Outputs(each=EACH, count=COUNT), None), {"error": {}}])
    assert measures.keys() == {"score", "outputs.each", "outputs.each.spread", "outputs.count"}
    assert measures["outputs.each"].tolist() == [2.5, 8.5]
    assert measures["outputs.each.spread"] == pytest.approx([np.std(range(6))] * 2)
    assert measures["outputs.count"].tolist() == [3, 4]


def test_rows_of_other_sizes_are_measured_too_and_one_of_none_has_no_mean():
    axes, sizes = [FreeAxis("boxes", 1, "boxes_1")], {"boxes_1": [2, 0]}
    outputs = with_sizes({"boxes": np.array([[1.0, 3.0], [0.0, 0.0]])}, axes, sizes)
    measures = TASK.prediction_measures(TASK.predictions(outputs, None))
    np.testing.assert_array_equal(measures["outputs.boxes"], [2.0, np.nan])
    np.testing.assert_array_equal(measures["outputs.boxes.spread"], [1.0, np.nan])


def test_what_drift_looks_at_is_bounded():
    names = [f"output_{index}" for index in range(MOST_VALUES + 1)]
    wide = np.zeros((1, MOST_MEASURED + 1))
    wide[0, -1] = 1e9
    measures = TASK.prediction_measures(TASK.predictions(Outputs(dict.fromkeys(names, wide)), None))
    assert len([name for name in measures if name.endswith(".spread")]) == MOST_VALUES
    assert measures["outputs.output_0"].tolist() == [0.0]
