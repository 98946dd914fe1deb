"""Cells of files become the JSON that a client would send, by the model's columns."""

import json
from datetime import UTC, date, datetime
from decimal import Decimal

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from onnxserve.batch.part import Selection
from onnxserve.batch.plan import select_columns
from onnxserve.batch.readers.cells import cell
from onnxserve.batch.readers.typed import column_values
from onnxserve.batch.sources import find_sources
from onnxserve.errors import BatchError

from .test_readers import NUMBERS, chunks, table

TYPES = {"amount": "number", "seats": "integer", "trial": "boolean", "plan": "category", "joined": "date"}
EXPECTED = [
    {"amount": 1.5, "seats": 3, "trial": True, "plan": "pro", "joined": "2024-02-29"},
    {"amount": None, "seats": None, "trial": False, "plan": None, "joined": None},
]


@pytest.mark.parametrize(
    ("kind", "value", "expected"),
    [
        ("number", "1e3", 1000.0),
        ("number", "1_0", "1_0"),
        ("number", " ", None),
        ("number", float("nan"), None),
        ("number", Decimal("2.5"), 2.5),
        ("number", float("inf"), float("inf")),
        ("integer", True, 1),
        ("integer", float("-inf"), float("-inf")),
        ("integer", "9007199254740993", 9007199254740993),
        ("integer", Decimal(9007199254740993), 9007199254740993),
        ("integer", " 007", 7),
        ("integer", "2.0", 2.0),
        ("boolean", "FALSE", False),
        ("boolean", 1, True),
        ("boolean", "maybe", "maybe"),
        ("category", 7, "7"),
        ("category", 7.0, "7"),
        ("category", "", None),
        ("category", float("inf"), float("inf")),
        ("text", "", ""),
        ("date", datetime(2024, 2, 29, tzinfo=UTC), "2024-02-29T00:00:00+00:00"),
    ],
)
def test_a_cell_has_the_columns_type_or_stays_as_it_is(kind, value, expected):
    assert cell(kind, value) == expected


TIMES = {
    "ns": (1_700_000_000_123_456_789, "2023-11-14T22:13:20.123456"),
    "us": (1_700_000_000_123_456, "2023-11-14T22:13:20.123456"),
    "s": (2**60, "1152921504606846976 timestamp[s]"),
}


@pytest.mark.parametrize("is_category", [False, True])
@pytest.mark.parametrize("unit", TIMES)
def test_times_that_python_does_not_have_are_cells_all_the_same(tmp_path, unit, is_category):
    value, expected = TIMES[unit]
    times = pa.array([0, value, None], pa.timestamp(unit))
    path = tmp_path / "rows.arrow"
    rows = pa.table({"joined": times.dictionary_encode() if is_category else times})
    with pa.OSFile(str(path), "wb") as stream, pa.ipc.new_file(stream, rows.schema) as writer:
        writer.write_table(rows)
    [source] = find_sources([str(path)]).files
    selection = select_columns([source], ("joined",), {}, (), ",", 9, types={"joined": "date"})
    [chunk] = chunks(source, selection)
    assert [row["joined"] for row in chunk.values or ()] == ["1970-01-01T00:00:00", expected, None]
    assert "joined" in json.loads(chunk.raw(1)), "what a bad row's record quotes"


def test_times_of_an_unknown_zone_are_cells_that_no_handler_takes_for_times():
    times = pa.array([0, None], pa.timestamp("s", "Mars/Phobos"))
    assert column_values(times) == ["0 timestamp[s, tz=Mars/Phobos]", None]


def written(folder, suffix: str):
    columns = {
        "amount": [1.5, None],
        "seats": [3, None],
        "trial": [True, False],
        "plan": pa.array(["pro", None]).dictionary_encode(),
        "joined": [date(2024, 2, 29), None],
    }
    path = folder / f"rows.{suffix}"
    if suffix == "parquet":
        pq.write_table(pa.table(columns), path)
    elif suffix == "csv":
        path.write_text("amount,seats,trial,plan,joined\n1.5,3,true,pro,2024-02-29\n,,false,,\n")
    else:
        lines = [
            '{"amount": 1.5, "seats": 3, "trial": true, "plan": "pro", "joined": "2024-02-29", "more": 1}',
            '{"amount": null, "seats": null, "trial": false, "plan": null, "joined": null}',
        ]
        path.write_text("\n".join(lines) + "\n")
    return path


@pytest.mark.parametrize("suffix", ["parquet", "csv", "jsonl"])
def test_rows_of_every_format_are_the_same_objects(tmp_path, suffix):
    sources = find_sources([str(written(tmp_path, suffix))]).files
    selection = select_columns(sources, tuple(TYPES), {}, (), ",", 10, types=TYPES)
    [chunk] = chunks(sources[0], selection)
    assert (chunk.columns, list(chunk.values or ())) == (None, EXPECTED)


def test_a_column_of_a_type_that_does_not_fit_is_named_before_anything_is_scored(tmp_path):
    pq.write_table(pa.table({"amount": ["1"], "joined": [np.datetime64("2024-01-01", "s")]}), tmp_path / "a.parquet")
    sources = find_sources([str(tmp_path / "a.parquet")]).files
    with pytest.raises(BatchError, match="other types are expected, amount is text"):
        select_columns(sources, ("amount", "joined"), {}, (), ",", 9, types={"amount": "number", "joined": "date"})


def test_an_empty_field_of_a_csv_is_null_where_the_column_takes_it(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("id,x,y\na,,2\nb,1,\nc,3,4\n")
    good, bad = table(path, msgspec.structs.replace(NUMBERS, nullable=("x",)))
    np.testing.assert_equal(good, [(0, np.nan, 2, "a"), (2, 3, 4, "c")])
    assert [reason for _, _, reason in bad] == ["the number is missing"]
    texts = Selection({"x": "x", "y": "y"}, numbers=False, types={"x": "text", "y": "text"}, nullable=("x",))
    [source] = find_sources([str(path)]).files
    [chunk] = chunks(source, texts)
    assert chunk.values == [{"x": None, "y": "2"}, {"x": "1", "y": ""}, {"x": "3", "y": "4"}]


@pytest.mark.parametrize("types", [{}, {"x": "number", "y": "category"}])
def test_a_line_of_json_without_the_models_columns_is_a_row_as_a_request_has_it(tmp_path, types):
    path = tmp_path / "rows.jsonl"
    path.write_text('{"row": [1, 2]}\n[3, 4]\n{"x": 5}\n{}\n{"x": 6, "y": 7, "more": 8}\n')
    [source] = find_sources([str(path)]).files
    selection = Selection({"x": "x", "y": "y"}, numbers=not types, types=types)
    [chunk] = chunks(source, selection)
    values = list(chunk.values or ())
    assert values[:2] == [{"row": [1, 2]}, [3, 4]]
    assert values[2:] == [{"x": 6, "y": 7} if types else [6, 7]]
    assert {place: fault.reason for place, fault in chunk.faults.items()} == {
        2: "missing columns ['y']",
        3: "missing columns ['x', 'y']",
    }
