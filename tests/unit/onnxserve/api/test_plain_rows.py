"""Rows of a program as a client would send them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from onnxserve.api.plain_rows import plain_rows
from onnxserve.errors import RowError


def test_arrays_become_lists_and_files_stay_bytes():
    rows = (np.array([1, 2], np.float32), {"x": np.int64(3)}, b"\x89PNG")
    assert list(plain_rows(row for row in rows)) == [[1.0, 2.0], {"x": 3}, b"\x89PNG"]


def test_an_object_that_no_request_holds_is_named_with_its_row():
    with pytest.raises(RowError, match="object isn't a value") as caught:
        list(plain_rows([[1.0], object()]))
    assert (caught.value.row, caught.value.where, caught.value.type) == (1, "instances[1]", "undecodable_body")


@pytest.mark.parametrize("rows", ["good film", b"\x89PNG", {"x": 1.0}])
def test_a_row_alone_is_not_taken_for_rows(rows):
    with pytest.raises(TypeError, match=r"send one row as \[row\]"):
        list(plain_rows(rows))


def test_a_table_of_pandas_is_not_taken_for_its_columns():
    with pytest.raises(TypeError, match="got DataFrame: give its rows"):
        list(plain_rows(pd.DataFrame({"x": [1.0], "y": [2.0]})))
