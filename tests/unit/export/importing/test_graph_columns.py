"""Graphs with one input a column, as converters write a pipeline of scikit-learn, and inputs that no row can hold."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import onnx
import pytest
from onnx import TensorProto, helper

from onnxserve.errors import DefinitionError
from onnxserve_export.importing import ImportOptions, import_model


def save_graph(path: Path, kinds: Mapping[str, int], width: int = 1) -> Path:
    """Write a graph of inputs of these types, shape (batch, width), that gives the last one."""
    inputs = [helper.make_tensor_value_info(name, kind, ["batch", width]) for name, kind in kinds.items()]
    *_, (last, kind) = kinds.items()
    output = helper.make_tensor_value_info("y", kind, ["batch", width])
    graph = helper.make_graph([helper.make_node("Identity", [last], ["y"])], "g", inputs, [output])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


def section(source: Path, tmp_path: Path, **options: Any) -> dict[str, Any]:
    imported = import_model(str(source), "net", tmp_path / "models", ImportOptions(**options))
    written: dict[str, Any] = tomllib.loads((imported.folder / "model.toml").read_text())["input"]
    return written


def test_columns_of_which_some_are_texts_are_a_table(tmp_path):
    kinds = {"plan": TensorProto.STRING, "seats": TensorProto.INT64, "age": TensorProto.FLOAT}
    assert section(save_graph(tmp_path / "net.onnx", kinds), tmp_path) == {
        "kind": "table",
        "tensors": "columns",
        "columns": [{"name": "plan", "type": "text"}, {"name": "seats", "type": "integer"}, "age"],
    }


@pytest.mark.parametrize(
    ("kind", "width", "message", "fix"),
    [
        (TensorProto.STRING, 3, "input last takes texts", "columns of a table"),
        (TensorProto.BFLOAT16, 1, "input last takes bfloat16", "with float32 inputs"),
    ],
)
def test_inputs_that_rows_cannot_hold_are_refused_with_a_way_out(tmp_path, kind, width, message, fix):
    source = save_graph(tmp_path / "net.onnx", {"first": TensorProto.FLOAT, "last": kind}, width)
    if kind == TensorProto.STRING:  # a graph that gives texts alone has no output for rows
        graph = onnx.load(source)
        graph.graph.node[0].input[0] = "first"
        graph.graph.output[0].type.tensor_type.elem_type = TensorProto.FLOAT
        onnx.save(graph, source)
    with pytest.raises(DefinitionError, match=message) as refusal:
        section(source, tmp_path)
    assert fix in refusal.value.fix
