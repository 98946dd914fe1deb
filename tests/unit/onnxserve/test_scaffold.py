"""The templates of `onnxserve new`."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from onnxserve.definition import read_definition
from onnxserve.errors import DefinitionError
from onnxserve.scaffold.new import KINDS, PAIRS, TASKS, new_model
from onnxserve_handlers.outputs import Outputs
from onnxserve_handlers.registry import task_for
from tests.helpers.modules import load_module

COMPOSED = [(kind, task) for kind in KINDS for task in TASKS if (kind, task) not in PAIRS]
# Each kind once and each task once: every part of these folders is run.
TRAINED = [
    ("text", "multilabel"),
    ("image", "regression"),
    ("audio", "embedding"),
    ("table", "raw"),
    ("tensors", "classification"),
]


@pytest.mark.parametrize(("kind", "task"), PAIRS)
def test_each_template_is_a_definition_of_its_kind_and_task_with_golden_rows(kind, task, tmp_path):
    definition = read_definition(new_model(kind, "demo", tmp_path, task))
    assert (definition.name, definition.input.kind, definition.output.task) == ("demo", kind, task)
    assert (definition.folder / "golden.jsonl").read_text().strip()


@pytest.mark.parametrize(("kind", "task"), COMPOSED)
def test_every_kind_has_every_task_in_two_files(kind, task, tmp_path):
    definition = read_definition(new_model(kind, "demo", tmp_path, task))
    assert (definition.name, definition.input.kind, definition.output.task) == ("demo", kind, task)
    assert definition.labels == TASKS[task]
    assert sorted(file.name for file in definition.folder.iterdir()) == ["model.py", "model.toml"]
    code = (definition.folder / "model.py").read_text()
    compile(code, "model.py", "exec")
    assert "__task__" not in code


@pytest.mark.parametrize(("kind", "task"), TRAINED)
def test_a_composed_model_gives_what_its_task_reads_and_learns_its_labels(kind, task, tmp_path):
    assert (kind, task) in COMPOSED
    definition = read_definition(new_model(kind, "demo", tmp_path, task))
    module, hooks = load_module(definition.folder / "model.py"), task_for(definition.output)
    rows = module.rows()[:200]
    torch.manual_seed(0)
    model, labels = module.load(rows).eval(), [label for _, label in rows]
    with torch.inference_mode():
        outputs = Outputs(output_0=model(*module.tensors(rows)).numpy())
    assert hooks.outputs_fault(outputs) == ""
    if hooks.ranking_name:
        halves = np.array_split(np.arange(len(rows)), 10)
        assert hooks.ranking(outputs, labels, halves).mean() > 0.75  # far above chance
    elif hooks.quality_name:
        assert hooks.quality(outputs, labels).mean() > 0.8
    else:
        assert np.corrcoef(outputs["output_0"][:, 0], labels)[0, 1] > 0.9


def test_a_task_that_a_kind_has_no_template_for_is_refused_with_those_it_has(tmp_path):
    with pytest.raises(DefinitionError, match="no template for audio to 'tokens'") as refused:
        new_model("audio", "demo", tmp_path, "tokens")
    assert "choose classification, multilabel, regression, embedding, raw" in refused.value.fix
    assert not (tmp_path / "demo").exists()
