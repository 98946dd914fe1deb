"""What pyarrow splits and converts is what the reader gives one record at a time."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from onnxserve.batch.part import Selection
from onnxserve.batch.readers import table_numbers
from onnxserve.batch.readers.lines import Record
from onnxserve.batch.readers.plain_records import PlainRecords, numbers, split
from onnxserve.batch.readers.runs import Group, Singles
from onnxserve.batch.readers.table_numbers import NumberRows, number_rows

NAMES = ("id", "x", "y")
SELECTION = Selection({"x": "x", "y": "y"}, numbers=True, keep=("id",), nullable=("y",))
PART = Selection({"y": "y"}, numbers=True, keep=("y",))  # not all columns are read
ODD = (
    "",
    " ",
    "nan",
    "-inf",
    "1e400",
    "1e-400",
    "0.0001e-330",
    "1_000",
    "+5",
    "1.",
    ".5",
    "0x10",
    "nan(1)",
    "٣",
    "1 ",
)
PLAIN = ("1", "-2.5", "0", "-0.0", "0e5", "3.25e-7", "12345678901234567890", "0.1")
PIECES = (*ODD, *PLAIN, "oops", '"7"', '"a""b"', "a\rb", "\0", "\ufeff1")


def records_of(texts: list[str | bytes | None]) -> Group:
    encoded = [text.encode() if isinstance(text, str) else text for text in texts]
    return Group([Singles([Record(number + 2, 0, 0, text) for number, text in enumerate(encoded)])])


def one_at_a_time(some: Group, selection: Selection, monkeypatch: pytest.MonkeyPatch) -> NumberRows:
    """The rows without pyarrow's part."""

    def no_plain(_: Any, __: Any, wanted: list[str], ___: str) -> PlainRecords:
        return PlainRecords(np.array([], np.intp), pa.table({name: pa.array([], pa.string()) for name in wanted}))

    with monkeypatch.context() as context:
        context.setattr(table_numbers, "split", no_plain)
        return number_rows(some, selection, NAMES, ",")


def assert_equal(rows: NumberRows, others: NumberRows) -> None:
    np.testing.assert_array_equal(rows.places, others.places)
    assert rows.columns.keys() == others.columns.keys()
    for name, column in rows.columns.items():
        np.testing.assert_array_equal(column, others.columns[name])
        np.testing.assert_array_equal(np.signbit(column), np.signbit(others.columns[name]))
    assert rows.faults == others.faults
    assert list(rows.faults) == list(others.faults)
    assert rows.kept is not None
    assert others.kept is not None
    assert rows.kept.to_pylist() == others.kept.to_pylist()


fields = st.sampled_from(PIECES) | st.floats().map(repr) | st.text(st.characters(exclude_categories=["Cs"]), max_size=4)
texts = st.lists(fields, min_size=2, max_size=4).map(lambda row: ",".join(row).replace("\n", " "))
lines = texts.map(str.encode) | st.just(b"\xff,1,2") | st.none()


@pytest.mark.parametrize("selection", [SELECTION, PART])
@given(rows=st.lists(lines, max_size=12))
def test_any_records_are_read_as_one_at_a_time(selection, rows):
    some = records_of(rows)
    with pytest.MonkeyPatch.context() as patch:
        assert_equal(number_rows(some, selection, NAMES, ","), one_at_a_time(some, selection, patch))


@pytest.mark.parametrize("odd", [b"\xff", b"a" * 200_000, b"\xc3"], ids=["byte", "long text", "half a character"])
@pytest.mark.parametrize("selection", [SELECTION, PART])
def test_a_column_that_is_not_read_is_judged_as_one_that_is(odd, selection, monkeypatch):
    some = records_of([odd + b",1,2", "b,3,4"])
    rows = number_rows(some, selection, NAMES, ",")
    assert_equal(rows, one_at_a_time(some, selection, monkeypatch))
    assert {place: fault.reason for place, fault in rows.faults.items()} == ({} if len(odd) > 1 else {0: "not UTF-8"})


@pytest.mark.parametrize("odd", ODD)
def test_one_odd_text_in_a_column_of_numbers_is_read_as_alone(odd, monkeypatch):
    some = records_of([*(f"r{number},{number},{number / 7}" for number in range(40)), f"odd,{odd},{odd}"])
    assert_equal(number_rows(some, SELECTION, NAMES, ","), one_at_a_time(some, SELECTION, monkeypatch))


def test_clean_records_need_no_look_at_single_ones(monkeypatch):
    monkeypatch.setattr(table_numbers, "fields_of", lambda some, places, width, delimiter: ({}, {}))
    monkeypatch.setattr(table_numbers, "parse_numbers", lambda _: pytest.fail("a number was parsed by itself"))
    rows = number_rows(records_of([f"r{number},{number},0.5" for number in range(5)]), SELECTION, NAMES, ",")
    assert rows.columns["x"].tolist() == [0, 1, 2, 3, 4]
    assert rows.kept is not None
    assert rows.kept.column("id").to_pylist() == ["r0", "r1", "r2", "r3", "r4"]


def test_beside_a_bad_record_the_others_are_still_plain():
    some = records_of(["a,1,2", 'b,"3",4', "c,5", None, b"\xff,1,2", "d,6,7", "e,8\r,9"])
    assert split(some, NAMES, ["x"], ",").places.tolist() == [0, 5]
    assert split(some, NAMES, ["x"], "€").places.tolist() == []
    assert split(Group([]), NAMES, ["x"], ",").fields.num_rows == 0


def test_zeros_are_sure_and_what_only_looks_like_zero_is_not():
    values, doubtful = numbers(pa.array(["0", "0.000", "-0e9", "1e-400", "7"]), nullable=False)
    assert values.tolist() == [0, 0, 0, 0, 7]
    assert doubtful.tolist() == [False, False, False, True, False]


def test_empty_texts_are_nan_where_null_is_allowed_else_they_are_looked_at():
    texts = pa.array(["1", "", "  "])
    for nullable in (True, False):
        values, doubtful = numbers(texts, nullable=nullable)
        assert np.isnan(values).tolist() == [False, True, True]
        assert doubtful.tolist() == [False, not nullable, not nullable]
