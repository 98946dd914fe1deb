"""The answers of a server that scores in place of the handler."""

from onnxserve.batch.chunk import Fault
from onnxserve.batch.remote import prediction_or_fault


def test_the_error_of_a_row_beside_others_is_that_rows_fault():
    error = {"error": {"type": "not_finite", "reason": "x", "where": "instances[1]"}}
    assert prediction_or_fault(error) == Fault("not_finite", "x")
    for prediction in (
        {"label": "error", "score": 1.0},
        {"values": [1.0]},
        "error",
        {"error": "one of a handler's own"},
    ):
        assert prediction_or_fault(prediction) is prediction
