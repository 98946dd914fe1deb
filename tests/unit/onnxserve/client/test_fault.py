"""Errors in every form that a server may give them."""

from __future__ import annotations

import json

import pytest

from onnxserve.client.exchange import Incoming
from onnxserve.client.fault import Fault, fault_in_place, read_fault
from onnxserve_handlers.errors import InvalidRow, NotFinite
from onnxserve_handlers.protocols.v2_http import error_line

ERROR = InvalidRow("expected a number: got (a, b)", where="instances[3].a: b", fix="send a number")


def test_an_object_and_a_line_say_the_same():
    document = Incoming(422, json.dumps({"error": ERROR.body()}).encode())
    line = Incoming(422, json.dumps({"error": error_line(InvalidRow("reason", where="inputs.a", fix="fix"))}).encode())
    assert read_fault(document) == Fault(422, "invalid_row", ERROR.reason, ERROR.where, ERROR.fix)
    assert read_fault(line) == Fault(422, "invalid_row", "reason", "inputs.a", "fix")


@pytest.mark.parametrize(("body", "reason"), [
    (b'{"code": 503, "type": "X", "message": "no workers"}', "no workers"), (b"<html>", "<html>"),
    (b"", "no reason given"), (b"{}", "no reason given"), (b"\xff", "\ufffd"), (b"[1]", "[1]"),
])  # fmt: skip
def test_another_servers_text_is_the_reason(body, reason):
    assert read_fault(Incoming(503, body)) == Fault(503, reason=reason)


@pytest.mark.parametrize(("fault", "of_rows", "row"), [
    (Fault(422, "invalid_row", where="instances[3].a"), True, 3),
    (Fault(422, "invalid_row", where="body"), True, None),
    (Fault(422, "invalid_row", where="parameters.top_k"), False, None),
    (Fault(422, "invalid_row", where="inputs.features"), False, None),
    (Fault(413, "too_large", where="gateway"), True, None),
    (Fault(507, "answer_too_large", where="body"), True, None),
    (Fault(507, "worker_ended", where="gateway"), False, None),
    (Fault(500, NotFinite.kind, where="instances[1]"), True, 1),
    (Fault(500, "internal_error", where="gateway"), False, None),
    (Fault(500, "internal_error", where="body"), True, None),
    (Fault(500, reason="no workers"), False, None),
    (Fault(401, "unauthenticated", where="gateway"), False, None),
])  # fmt: skip
def test_it_is_known_whether_rows_are_to_blame(fault, of_rows, row):
    assert (fault.is_of_rows, fault.row) == (of_rows, row)


def test_the_row_is_counted_as_the_caller_counts_it():
    error = Fault(422, "invalid_row", "reason", "instances[0].a", "fix").row_error(70)
    assert (error.where, error.row, error.type, error.remedy) == ("instances[70].a", 70, "invalid_row", "fix")
    assert str(error) == "invalid_row: reason\n  where: instances[70].a\n  fix:   fix"


def test_a_request_that_names_no_row_keeps_its_place():
    error = Fault(413, "too_large", "too many bytes", "gateway").row_error(None)
    assert (error.where, error.row, error.status) == ("gateway", None, 413)


def test_an_error_in_a_row_s_place_is_told_from_a_prediction_with_such_a_field():
    assert fault_in_place({"error": {"type": "not_finite", "reason": "overflow"}}) == Fault(
        500, "not_finite", "overflow"
    )
    assert fault_in_place({"error": 0.1, "value": 3.0}) is None
    assert fault_in_place([1.0]) is None
