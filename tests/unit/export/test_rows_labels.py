"""Labels that a task can't compare with outputs are told before anything long."""

from __future__ import annotations

from typing import Any

import pytest

from onnxserve.definition import read_definition
from onnxserve_export.rows import CheckedRows
from onnxserve_handlers.registry import task_for
from tests.helpers.detector import write_model

BOX = {"label": "cat", "box": [0, 0, 1, 1]}


@pytest.fixture(scope="module")
def definition(tmp_path_factory) -> Any:
    return read_definition(write_model(tmp_path_factory.mktemp("models") / "detector"))


def test_each_reason_is_told_with_its_count(definition):
    labels: list[Any] = ["cat", [{"label": "cat"}], [BOX], None, [{**BOX, "label": "hen"}]]
    rows = CheckedRows(
        [(number, label) for number, label in enumerate(labels)], definition, task_for(definition.output)
    )
    assert [row.value for row in rows] == [2, 3]
    bad, unknown = rows.faults()
    assert bad.what == "2 rows have labels that detection can't compare with outputs"
    assert bad.fix.startswith('give a list of {"label": ..., "box"')
    assert "'hen'" in unknown.what
