"""Rows of files: Parquet, CSV and JSON lines; which columns are used, and what a bad row says."""

from __future__ import annotations

import gzip
import json
import math
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from onnxserve.definition import Definition, RowsSection
from onnxserve.errors import DefinitionError
from onnxserve_export.export_state import ExportState
from onnxserve_export.row_sources import read_rows
from onnxserve_handlers.inputs.table import TableOptions
from onnxserve_handlers.inputs.table_columns import Column
from onnxserve_handlers.inputs.text import TextOptions
from onnxserve_handlers.tasks import OutputOptions


def rows_of(path: Path, definition: Definition, **section: Any) -> list[tuple[Any, Any]]:
    changed = msgspec.structs.replace(definition, rows=RowsSection(str(path), **section))
    state = ExportState(changed, path.parent, path.parent, lambda _: None)
    state.sources, state.row_files = {}, path
    return list(read_rows(state))


def test_a_table_is_read_in_the_order_of_its_columns_whatever_the_files(table, tmp_path):
    expected = [([1.0, 2.0], "inside"), ([3.5, 4.0], "outside")]
    (tmp_path / "rows.csv").write_text("y,label,x\n2,inside,1\n4.0,outside,3.5\n")
    (tmp_path / "rows.csv.gz").write_bytes(gzip.compress((tmp_path / "rows.csv").read_bytes()))
    (tmp_path / "rows.tsv").write_text("x\ty\tlabel\n1\t2\tinside\n3.5\t4\toutside\n")
    lines = [{"x": 1, "y": 2, "label": "inside"}, {"label": "outside", "y": 4, "x": 3.5}]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    pq.write_table(pa.Table.from_pylist(lines), tmp_path / "rows.parquet")
    for name, mark in (("semicolons.csv", ";"), ("tabs.csv", "\t")):
        text = "\ufeff" + (tmp_path / "rows.csv").read_text().replace(",", mark)
        (tmp_path / name).write_text(text.replace("inside", '"inside"'))
    for name in ("rows.csv", "rows.csv.gz", "rows.tsv", "semicolons.csv", "tabs.csv", "rows.jsonl", "rows.parquet"):
        assert rows_of(tmp_path / name, table) == expected, name


def test_a_glob_and_a_folder_are_read_in_the_order_of_their_names(table, tmp_path):
    for number, name in enumerate(("b", "a")):
        (tmp_path / f"{name}.csv").write_text(f"x,y\n{number},0\n")
    expected = [([1.0, 0.0], None), ([0.0, 0.0], None)]
    assert rows_of(tmp_path / "*.csv", table) == expected
    assert rows_of(tmp_path, table) == expected


def test_columns_are_chosen_by_name(table, text, tmp_path):
    (tmp_path / "named.csv").write_text("id,east,north,class\n7,1,2,inside\n")
    assert rows_of(tmp_path / "named.csv", table, label="class", input=("east", "north")) == [([1.0, 2.0], "inside")]
    label = text.labels[0]
    (tmp_path / "reviews.csv").write_text(f'review,label\n"good, really",{label}\n')
    assert rows_of(tmp_path / "reviews.csv", text) == [("good, really", label)]


def test_pairs_of_texts_are_two_columns_whatever_their_names(text, tmp_path):
    pairs = msgspec.structs.replace(text, input=TextOptions(pairs=True))
    label = text.labels[0]
    (tmp_path / "pairs.csv").write_text(f"text,text_pair,label\n1,2,{label}\n")
    (tmp_path / "passages.csv").write_text(f"id,passage,question,label\n7,2,1,{label}\n")
    expected = [({"text": "1", "text_pair": "2"}, label)]
    assert rows_of(tmp_path / "pairs.csv", pairs) == expected
    assert rows_of(tmp_path / "passages.csv", pairs, input=("question", "passage")) == expected


def test_the_lines_of_golden_jsonl_are_rows(table, tmp_path):
    (tmp_path / "rows.jsonl").write_text(
        '{"input": [1, 2], "label": "inside"}\n{"input": {"x": 1, "y": 2}, "label": null}\n'
    )
    assert rows_of(tmp_path / "rows.jsonl", table) == [([1, 2], "inside"), ({"x": 1, "y": 2}, None)]


def test_several_columns_of_another_kind_are_an_object(text, tmp_path):
    (tmp_path / "pairs.csv").write_text("first,second,label\na,b,\n")
    rows = rows_of(tmp_path / "pairs.csv", text, input=("first", "second"))
    assert rows == [({"first": "a", "second": "b"}, None)]


def test_labels_without_classes_are_numbers(table, tmp_path):
    regression = msgspec.structs.replace(table, output=OutputOptions())
    (tmp_path / "rows.csv").write_text("x,y,price,area\n1,2,3.5,4\n1,2,,\n")
    assert [label for _, label in rows_of(tmp_path / "rows.csv", regression, label="price")] == [3.5, None]
    both = rows_of(tmp_path / "rows.csv", regression, label=("price", "area"))
    assert [label for _, label in both] == [[3.5, 4.0], None]


@pytest.mark.parametrize(
    ("content", "place"),
    [
        ("x,y,label\n1,2,inside\n1,many,inside\n", "rows.csv line 3, column y: expected a number, got 'many'"),
        ("x,y,label\n1,,inside\n", "rows.csv line 2, column y: the number is missing"),
        ("x,y,label\n1,inf,inside\n", "rows.csv line 2, column y: the number is not finite"),
        (
            "x;y;label\n1;2,5;inside\n",
            "rows.csv line 2, column y: expected a number, got '2,5'; write a point, not a comma",
        ),
        ("x,y,label\n1,2,nowhere\n", "rows.csv line 2, column label: label 'nowhere' is not among `labels`"),
        ("x,y,label\n1,2\n", "rows.csv line 2: 2 fields, the header has 3"),
        ('x,y,label\n1,2,"inside\n', "rows.csv line 2: not a record of CSV"),
    ],
)
def test_a_bad_row_is_named_by_file_line_and_column(table, tmp_path, content, place):
    (tmp_path / "rows.csv").write_text(content)
    with pytest.raises(DefinitionError, match="rows can't be read") as refusal:
        rows_of(tmp_path / "rows.csv", table)
    assert place in refusal.value.where
    assert ("nullable = true" in refusal.value.fix) == any(f"column {column}:" in place for column in "xy")
    assert ("`labels` has 'outside', 'inside'" in refusal.value.fix) == ("column label:" in place)


def test_the_first_fault_of_each_column_is_shown_and_how_many_rows_have_one(table, tmp_path):
    lines = [f"1,many{number},inside\n" for number in range(9)]
    (tmp_path / "rows.csv").write_text("x,y,label\n" + "".join(lines) + "2024-01-01,2,nowhere\n")
    with pytest.raises(DefinitionError) as refusal:
        rows_of(tmp_path / "rows.csv", table)
    shown = [line.partition("rows.csv ")[2] for line in refusal.value.where.splitlines()]
    assert [line.partition(":")[0] for line in shown[:5]] == [
        "line 2, column y",
        "line 3, column y",
        "line 4, column y",
        "line 11, column x",
        "line 11, column label",
    ]
    assert refusal.value.where.splitlines()[5].strip() == "10 of these 10 rows can't be read"
    assert 'type = "date"' in refusal.value.fix
    assert "`labels` has 'outside', 'inside'" in refusal.value.fix


def test_an_empty_field_of_a_csv_is_null_where_the_column_takes_it(table, tmp_path):
    columns = (Column("x", nullable=True), Column("y", type="text", nullable=True, fill="none"))
    changed = msgspec.structs.replace(table, input=TableOptions(columns=columns, tensors="columns"))
    (tmp_path / "rows.csv").write_text("x,y\n,a\n1,\n")
    assert rows_of(tmp_path / "rows.csv", changed) == [([None, "a"], None), ([1.0, None], None)]


def test_missing_numbers_of_parquet_are_named_by_row_and_column(table, tmp_path):
    columns = {"x": [1.0, None, math.nan], "y": [1, 2, 3], "label": ["inside"] * 3}
    pq.write_table(pa.table(columns), tmp_path / "rows.parquet")
    with pytest.raises(DefinitionError) as refusal:
        rows_of(tmp_path / "rows.parquet", table)
    lines = refusal.value.where.splitlines()
    assert [line.partition("rows.parquet ")[2] for line in lines] == [
        "row 1, column x: the number is missing",
        "row 2, column x: the number is missing",
    ]


@pytest.mark.parametrize(
    ("content", "section", "message"),
    [
        ("x,label\n1,inside\n", {}, "missing columns: y"),
        ("x,y\n1,2\n", {"label": "class"}, "missing columns: class"),
        ("x,y,label\n1,2,inside\n", {"input": ("x",)}, "names 1 columns, input.columns 2"),
        ("", {}, "no header"),
    ],
)
def test_columns_that_do_not_fit_are_refused_with_those_of_the_file(table, tmp_path, content, section, message):
    (tmp_path / "rows.csv").write_text(content)
    with pytest.raises(DefinitionError, match=message) as refusal:
        rows_of(tmp_path / "rows.csv", table, **section)
    assert refusal.value.fix


def test_columns_of_a_table_that_are_missing_are_named_all_at_once(table, tmp_path):
    (tmp_path / "rows.csv").write_text("east,north,label\n1,2,inside\n")
    for section in ({}, {"input": ("east",)}):
        with pytest.raises(DefinitionError) as refusal:
            rows_of(tmp_path / "rows.csv", table, **section)
        assert (
            """for each of x, y, in this order: such as --set 'rows.input=["east", "north"]' of""" in refusal.value.fix
        )
    assert rows_of(tmp_path / "rows.csv", table, input=("east", "north")) == [([1.0, 2.0], "inside")]


def test_a_column_that_has_its_name_keeps_its_place_and_the_next_free_one_is_the_label(table, tmp_path):
    (tmp_path / "rows.csv").write_text("north,x,class\n2,1,inside\n")
    with pytest.raises(DefinitionError, match="missing columns: y") as refusal:
        rows_of(tmp_path / "rows.csv", table)
    assert """--set 'rows.input=["x", "north"]' --set 'rows.label="class"'""" in refusal.value.fix


def test_a_file_with_too_few_columns_is_not_offered_names_that_cannot_fit(table, tmp_path):
    (tmp_path / "rows.csv").write_text("east,label\n1,inside\n")
    with pytest.raises(DefinitionError, match="missing columns: x, y") as refusal:
        rows_of(tmp_path / "rows.csv", table)
    assert "a row has 2 columns beside the label: give rows that have each of x, y" in refusal.value.fix
    assert "--set" not in refusal.value.fix


def test_a_file_without_rows_is_refused_as_such(table, tmp_path):
    (tmp_path / "rows.jsonl").write_text("\n\n")
    with pytest.raises(DefinitionError, match="there is no row"):
        rows_of(tmp_path / "rows.jsonl", table)


def test_a_text_among_several_columns_has_to_be_named(text, tmp_path):
    (tmp_path / "rows.csv").write_text("title,body,label\na,b,positive\n")
    with pytest.raises(DefinitionError, match="several columns may be the input: title, body") as refusal:
        rows_of(tmp_path / "rows.csv", text)
    assert """--set 'rows.input=["title"]' of an import, or input = ["title"] in [rows]""" in refusal.value.fix
    assert """--set 'rows.input=["title", "body"]' --set input.pairs=true""" in refusal.value.fix


def test_where_no_column_has_the_name_of_a_label_both_are_to_be_named(text, tmp_path):
    (tmp_path / "rows.csv").write_text("review,stars\na,praise\n")
    with pytest.raises(DefinitionError, match="several columns may be the input: review, stars") as refusal:
        rows_of(tmp_path / "rows.csv", text)
    assert """--set 'rows.input=["review"]' --set 'rows.label="stars"' of an import""" in refusal.value.fix
    assert rows_of(tmp_path / "rows.csv", text, input=["review"], label="stars") == [("a", "praise")]


def test_a_file_of_another_kind_is_refused_with_the_kinds_there_are(table, tmp_path):
    (tmp_path / "rows.xlsx").write_bytes(b"PK")
    with pytest.raises(DefinitionError, match="unknown kind of file") as refusal:
        rows_of(tmp_path / "rows.xlsx", table)
    assert "Parquet" in refusal.value.fix
