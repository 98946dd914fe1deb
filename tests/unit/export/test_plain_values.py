"""What a function of rows may give."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import msgspec
import numpy as np
import pytest
import torch

from onnxserve.errors import DefinitionError
from onnxserve_export.plain_values import plain_value
from onnxserve_export.row_sources import check_pairs


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        (np.float64(1.5), 1.5),
        (np.int8(-3), -3),
        (np.bool_(True), True),
        (np.str_("a"), "a"),
        (np.array([[1, 2], [3, 4]], np.uint8), [[1, 2], [3, 4]]),
        (np.array([1.0, np.nan]), [1.0, None]),
        ({"x": np.float32(0.5), "y": (1, float("nan"))}, {"x": 0.5, "y": [1, None]}),
        (np.array(["a", None], object), ["a", None]),
        (torch.tensor([1.0, 2.0]), [1.0, 2.0]),
        (bytearray(b"file"), b"file"),
        (Decimal("1.25"), 1.25),
        (date(2026, 1, 2), "2026-01-02"),
        (b"file", b"file"),
        (None, None),
    ],
)
def test_values_of_numpy_and_others_become_what_a_client_sends(value, plain):
    converted = plain_value(value, "row 0")
    assert converted == plain
    assert type(converted) is type(plain)
    msgspec.json.encode(converted)


@pytest.mark.parametrize(("value", "message"), [(object(), "object isn't a value"), ({1: 2}, "must be text, not int")])
def test_other_objects_are_refused_by_row(value, message):
    with pytest.raises(DefinitionError, match=message) as refusal:
        list(check_pairs([([1], "a"), (value, "a")], "model.py:rows", is_plain=True))
    assert refusal.value.where == "model.py:rows, row 1"


@pytest.mark.parametrize(
    ("returned", "message"), [([[1, 2, 3]], "a row is list"), (3, "it gave int"), (["ab"], "a row is str")]
)
def test_a_function_must_give_pairs(returned, message):
    with pytest.raises(DefinitionError, match=message) as refusal:
        list(check_pairs(returned, "model.py:rows", is_plain=True))
    assert "the label may be None" in refusal.value.fix
