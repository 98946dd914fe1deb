"""Imports from a program: a model's folder, as the command writes it."""

from __future__ import annotations

import tomllib

import pytest

import onnxserve
from onnxserve.errors import DefinitionError
from tests.helpers.artefacts import sequence_graph, write_linear


def test_a_model_gets_a_folder_with_what_is_given_and_what_it_says_itself(tmp_path):
    source = write_linear(tmp_path / "net.onnx")
    folder = onnxserve.import_(
        source,
        input={"columns": ["a", "b", "c"]},
        output={"labels": ("low", "high")},
        budget=0.02,
        version="1.2.0",
        into=tmp_path / "models",
    )
    assert folder == tmp_path / "models" / "net"
    written = tomllib.loads((folder / "model.toml").read_text())
    assert (written["name"], written["version"], written["source"]) == ("net", "1.2.0", str(source))
    assert written["input"] == {"kind": "table", "columns": ["a", "b", "c"]}
    assert written["output"] == {"task": "classification", "labels": ["low", "high"]}
    assert written["quantise"] == {"max_accuracy_drop": 0.02}


def test_limits_of_free_axes_are_given_by_name(tmp_path):
    path = tmp_path / "net.onnx"
    path.write_bytes(sequence_graph().SerializeToString())
    with pytest.raises(DefinitionError, match=r"input\.limits\.(\w+): the largest size") as caught:
        onnxserve.import_(path, "frames", into=tmp_path)
    axis = str(caught.value).partition("input.limits.")[2].partition(":")[0]
    folder = onnxserve.import_(path, "frames", input={"limits": {axis: 64}}, into=tmp_path)
    assert tomllib.loads((folder / "model.toml").read_text())["input"]["limits"] == {axis: 64}


def test_a_folder_that_exists_is_kept(tmp_path):
    (tmp_path / "net").mkdir()
    with pytest.raises(DefinitionError, match="a model with this name exists"):
        onnxserve.import_(write_linear(tmp_path / "net.onnx"), into=tmp_path)
