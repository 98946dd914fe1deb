"""Rows of JSON lines, whose objects need not have the same names, and labels that only tell rows apart."""

from __future__ import annotations

import msgspec
import pytest

from onnxserve.errors import DefinitionError
from onnxserve_handlers.registry import task as task_class
from onnxserve_handlers.tasks import OutputOptions

from .test_row_files import rows_of


def test_a_label_of_json_lines_may_stand_in_any_rows(table, tmp_path):
    regression = msgspec.structs.replace(table, output=OutputOptions(task="regression"))
    (tmp_path / "rows.jsonl").write_text(
        '{"x": 1, "y": 2}\n\n{"x": 3, "y": 4, "label": "inside"}\n{"x": 5, "y": 6}\n{"x": 7, "y": 8, "price": 9}\n'
    )
    assert rows_of(tmp_path / "rows.jsonl", table) == [
        ([1, 2], None),
        ([3, 4], "inside"),
        ([5, 6], None),
        ([7, 8], None),
    ]
    priced = rows_of(tmp_path / "rows.jsonl", regression, label="price")
    assert [label for _, label in priced] == [None, None, None, 9]
    with pytest.raises(DefinitionError, match="missing columns: cost") as refusal:
        rows_of(tmp_path / "rows.jsonl", regression, label="cost")
    assert "it has x, y, label, price" in refusal.value.fix


def test_rows_of_json_lines_that_lack_an_input_are_refused_with_their_line(table, tmp_path):
    (tmp_path / "rows.jsonl").write_text('{"x": 1, "y": 2}\n{"x": 3}\n{"x": 1e999, "y": 3}\nno row\n')
    with pytest.raises(DefinitionError) as refusal:
        rows_of(tmp_path / "rows.jsonl", table)
    for place in ("line 2: missing columns ['y']", "line 3: not JSON: Number out of range", "line 4: not JSON"):
        assert place in refusal.value.where


@pytest.mark.parametrize("task", ["embedding", "raw"])
def test_labels_that_only_tell_rows_apart_may_be_any_texts(text, tmp_path, task):
    vectors = msgspec.structs.replace(text, output=task_class(task).output_options())
    (tmp_path / "rows.csv").write_text("text,label\nfox,animal\ndog,\n")
    assert rows_of(tmp_path / "rows.csv", vectors) == [("fox", "animal"), ("dog", None)]
