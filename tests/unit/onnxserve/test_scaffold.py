"""The templates of `onnxserve new`."""

from __future__ import annotations

import pytest

from onnxserve.definition import read_definition
from onnxserve.scaffold.new import PAIRS, new_model


@pytest.mark.parametrize(("kind", "task"), PAIRS)
def test_each_template_is_a_definition_of_its_kind_and_task_with_golden_rows(kind, task, tmp_path):
    definition = read_definition(new_model(kind, "demo", tmp_path, task))
    assert (definition.name, definition.input.kind, definition.output.task) == ("demo", kind, task)
    assert (definition.folder / "golden.jsonl").read_text().strip()
