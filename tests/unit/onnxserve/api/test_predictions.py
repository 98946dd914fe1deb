"""Predictions as a sequence, and as a notebook shows them."""

from __future__ import annotations

from onnxserve import Predictions


def test_they_are_a_sequence_that_equals_a_list():
    values = [{"label": "a", "score": 0.5}, {"label": "b", "score": 0.25}]
    predictions = Predictions(values, "letters", "1.0.0")
    assert predictions == values
    assert predictions != values[:1]
    assert list(predictions[1:]) == values[1:]
    assert repr(predictions[1:]) == "<Predictions of letters 1.0.0: [{'label': 'b', 'score': 0.25}]>"


def test_a_notebook_shows_a_column_for_each_field_with_every_value_escaped():
    page = Predictions(
        [{"label": "<img src=x onerror=alert(1)>"}, {"label": "b", "box": [1, 2]}], "m", "1"
    )._repr_html_()
    assert "<th>label</th><th>box</th>" in page
    assert "&lt;img src=x onerror=alert(1)&gt;" in page
    assert "<td>[1,2]</td>" in page
    assert "<img" not in page


def test_predictions_that_are_no_objects_have_one_column():
    assert "<td>0.5</td>" in Predictions([0.5], "m", "1")._repr_html_()


def test_many_and_long_predictions_are_cut():
    page = Predictions([[0.5] * 1000] * 25, "m", "1")._repr_html_()
    assert "and 5 more" in page
    assert page.count("<tr>") == 22
    assert len(page) < 6000
