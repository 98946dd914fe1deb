"""Labels that a task can't compare with outputs are told before anything long."""

from __future__ import annotations

from typing import Any

import pytest

from onnxserve.definition import read_definition
from onnxserve_export.rows import CheckedRows
from onnxserve_handlers.registry import task_for

DEFINITION = """
name = "detector"
version = "1.0.0"
source = "model.py:load"
rows = "model.py:rows"

[input]
kind = "image"
height = 16
width = 16

[output]
task = "detection"
labels = ["cat", "dog"]
layout = "separate"
"""
BOX = {"label": "cat", "box": [0, 0, 1, 1]}


@pytest.fixture(scope="module")
def definition(tmp_path_factory) -> Any:
    folder = tmp_path_factory.mktemp("detector")
    (folder / "model.toml").write_text(DEFINITION)
    (folder / "model.py").touch()
    return read_definition(folder)


def test_each_reason_is_told_with_its_count(definition):
    labels: list[Any] = ["cat", [{"label": "cat"}], [BOX], None, [{**BOX, "label": "hen"}]]
    pairs = list(enumerate(labels))
    rows = CheckedRows(pairs, "detection", task_for(definition.output), "rows.csv")
    assert [row.value for row in rows] == [2, 3]
    bad, unknown = rows.faults()
    assert bad.what == "2 rows have labels that detection can't compare with outputs"
    assert bad.fix.startswith('give a list of {"label": ..., "box"')
    assert "'hen'" in unknown.what
    assert (bad.where, unknown.where) == ("rows.csv", "rows.csv")
