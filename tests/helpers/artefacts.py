"""Models in the forms in which others leave them: small files and folders for tests of imports."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

CONFIG = """
name: "linear"
backend: "onnxruntime"
max_batch_size: 8  # rows
input [ { name: "x" data_type: TYPE_FP32 dims: [ 3 ] } ]
output [ { name: "y" data_type: TYPE_FP32 dims: [ 2 ] label_filename: "labels.txt" } ]
dynamic_batching { max_queue_delay_microseconds: 2500 }
instance_group [ { count: 2 kind: KIND_CPU } ]
"""


def linear_graph(batch: str = "n") -> onnx.ModelProto:
    """A graph of one layer: x (rows, 3) to y (rows, 2)."""
    weight = numpy_helper.from_array(np.arange(6, dtype=np.float32).reshape(3, 2) - 2, "w")
    sizes = {"x": 3, "y": 2}
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [batch, size]) for name, size in sizes.items()]
    graph = helper.make_graph([helper.make_node("MatMul", ["x", "w"], ["y"])], "g", ends[:1], ends[1:], [weight])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def sequence_graph() -> onnx.ModelProto:
    """A graph with a free axis beside the batch: frames (rows, time, 2) to mean (rows, 2)."""
    node = helper.make_node("ReduceMean", ["frames"], ["mean"], axes=[1], keepdims=0)
    frames = helper.make_tensor_value_info("frames", TensorProto.FLOAT, ["n", "time", 2])
    mean = helper.make_tensor_value_info("mean", TensorProto.FLOAT, ["n", 2])
    graph = helper.make_graph([node], "g", [frames], [mean])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def write_linear(path: Path) -> Path:
    """Write the graph of one layer."""
    onnx.save(linear_graph(), path)
    return path


def write_triton(repository: Path, config: str = CONFIG) -> Path:
    """Write a Triton repository of one model with two versions and labels."""
    model = repository / "linear"
    for version in ("1", "2"):
        (model / version).mkdir(parents=True)
        write_linear(model / version / "model.onnx")
    (model / "config.pbtxt").write_text(config)
    (model / "labels.txt").write_text("low\nhigh\n")
    return repository


def write_pretrained(folder: Path, config: dict[str, Any], **files: Any) -> Path:
    """Write a folder of transformers without weights: the configuration, and other files by their stems."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, document in {"config": config, **files}.items():
        (folder / f"{name}.json").write_text(json.dumps(document))
    return folder
