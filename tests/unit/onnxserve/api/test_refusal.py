"""Errors of rows, from what a server answers."""

from __future__ import annotations

import pytest

from onnxserve.api.refusal import row_error


@pytest.mark.parametrize(
    ("where", "row", "number", "place"),
    [
        ("instances[3].age", None, 3, "row 3, age"),
        ("instances[3]", None, 3, "row 3"),
        ("instances[0].age", 12, 12, "row 12, age"),
        ("body", None, None, "body"),
        ("body", 5, 5, "row 5, body"),
    ],
)
def test_the_place_is_that_of_the_row(where, row, number, place):
    error = row_error({"type": "invalid_row", "reason": "too old", "where": where, "fix": "be young"}, row)
    assert (error.row, error.type, error.where, error.fix) == (number, "invalid_row", place, "be young")
    assert error.what == "invalid_row: too old"
