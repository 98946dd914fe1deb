"""Definitions of models that are in memory."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from torch import nn

from onnxserve.errors import DefinitionError
from onnxserve_export.importing.python_object import argument_of, define_object, own_copy


def test_a_fitted_model_says_itself_what_rows_and_predictions_are(tmp_path):
    rows = np.array([[0.0, 1.0], [1.0, 0.0], [0.2, 0.8], [0.9, 0.1]])
    fitted = LogisticRegression().fit(rows, ["no", "yes", "no", "yes"])
    definition, source = define_object(fitted, {"quantise": {"max_accuracy_drop": 0.02}}, tmp_path)
    assert (definition.name, definition.version) == ("logisticregression", "1.0.0")
    assert definition.input.column_names == ("x0", "x1")
    assert definition.labels == ("no", "yes")
    assert definition.quantise.max_accuracy_drop == 0.02
    assert source.name == "scikit-learn"


def test_fields_that_are_given_are_kept(tmp_path):
    fields = {
        "name": "frames",
        "version": "2.1.0",
        "input": {
            "kind": "tensors",
            "tensors": [{"name": "input", "dtype": "float32", "shape": ["time", 4]}],
            "limits": {"time": 64},
        },
        "output": {"task": "classification", "labels": ["a", "b"]},
        "serve": {"p99_ms": 20},
    }
    definition, _ = define_object(nn.Linear(4, 2), fields, tmp_path)
    assert (definition.name, definition.version, definition.source) == ("frames", "2.1.0", "memory:Linear")
    assert msgspec.to_builtins(definition.input)["limits"] == {"time": 64}
    assert definition.serve.p99_ms == 20


def test_everything_that_nobody_says_is_asked_for_at_once_by_the_arguments_that_give_it(tmp_path):
    tensors = [{"name": "input", "dtype": "float32", "shape": ["time", 4]}]
    with pytest.raises(DefinitionError, match="2 values can't be read") as caught:
        define_object(nn.Linear(4, 2), {"input": {"tensors": tensors}, "output": {"task": "classification"}}, tmp_path)
    assert 'input={"limits": {"time": ...}}' in caught.value.fix
    assert 'output={"labels": ...}' in caught.value.fix


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"input": {"kind": "smell"}}, "input.kind = 'smell' is unknown"),
        ({"input": {"kind": "table", "columns": ["x"], "colour": 3}, "output": {"task": "raw"}}, "no field colour"),
        ({"input": {"kind": "table", "columns": ["x"]}, "serve": {"workers": 0}}, "workers"),
    ],
)
def test_a_wrong_field_is_named(fields, message, tmp_path):
    with pytest.raises(DefinitionError, match=message):
        define_object(nn.Linear(1, 2), fields, tmp_path)


def test_what_is_no_model_is_refused(tmp_path):
    with pytest.raises(DefinitionError, match="dict, which isn't a model"):
        define_object({}, {}, tmp_path)


def test_a_choice_is_listed_with_its_argument():
    assert argument_of("input.kind") == 'input={"kind": ...}, one of text, image, audio, table, tensors'


def test_the_program_s_module_stays_as_it_is():
    module = nn.Sequential(nn.Linear(2, 2), nn.Dropout()).train()
    own_copy(module).eval().requires_grad_(requires_grad=False)
    assert module.training
    assert all(parameter.requires_grad for parameter in module.parameters())
    fitted = LogisticRegression()
    assert own_copy(fitted) is fitted


def test_a_module_that_can_not_be_copied_is_refused():
    module = nn.Linear(2, 2)
    module.kept = module(torch.zeros(1, 2))  # a part of a training step's graph
    with pytest.raises(DefinitionError, match=r"can't be copied(.|\n)*detach"):
        own_copy(module)
