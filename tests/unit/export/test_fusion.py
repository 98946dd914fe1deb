"""Quantised nodes are counted in the graph, and integer kernels in the optimised one."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import QuantFormat, QuantType, quantize_static

from onnxserve_export import quantise
from onnxserve_export.blocks import Block
from onnxserve_export.fusion import Fusion, measure_fusion
from onnxserve_export.int8 import Calibration
from onnxserve_export.records import Candidate
from onnxserve_export.run import GraphCrashed

IMAGE = np.random.default_rng(0).normal(size=(2, 3, 8, 8)).astype(np.float32)


@pytest.fixture
def convolution(tmp_path: Path) -> Path:
    """One convolution with a bias, then a clip."""
    draws = np.random.default_rng(1)
    weights = [
        numpy_helper.from_array(draws.normal(size=(4, 3, 3, 3)).astype(np.float32), "weight"),
        numpy_helper.from_array(draws.normal(size=4).astype(np.float32), "bias"),
        numpy_helper.from_array(np.array(0, np.float32), "low"),
        numpy_helper.from_array(np.array(6, np.float32), "high"),
    ]
    nodes = [
        helper.make_node("Conv", ["image", "weight", "bias"], ["sums"], name="conv"),
        helper.make_node("Clip", ["sums", "low", "high"], ["clipped"], name="clip"),
    ]
    shapes = [("image", (2, 3, 8, 8)), ("clipped", (2, 4, 6, 6))]
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in shapes]
    graph = helper.make_graph(nodes, "g", ends[:1], ends[1:], weights)
    path = tmp_path / "float.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10), path)
    return path


def quantised(source: Path, operators: list[str], **options: bool) -> Path:
    target = source.with_name("int8.onnx")
    quantize_static(
        source,
        target,
        Calibration([{"image": IMAGE}]),
        quant_format=QuantFormat.QDQ,
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
        op_types_to_quantize=operators,
        extra_options=options,
    )
    return target


def test_a_float_graph_has_neither(convolution):
    assert measure_fusion(convolution) == Fusion(0, 0, {"convolution": Block(1, 0)})


def test_a_convolution_with_its_clip_and_bias_in_8_bits_runs_in_an_integer_kernel(convolution):
    fusion = measure_fusion(quantised(convolution, ["Conv", "Clip"]))
    assert fusion == Fusion(1, 1)
    assert fusion.fault == ""


def test_a_convolution_whose_output_stays_in_float_is_told(convolution):
    path = quantised(convolution, ["Conv", "Clip"])
    proto = onnx.load(path)
    change_output_to_float(proto.graph)
    onnx.save(proto, path)
    fusion = measure_fusion(path)
    assert (fusion.quantised, fusion.fused) == (1, 0)
    assert fusion.fault == "1 of 1 quantised nodes run in float, since they don't fuse"


def change_output_to_float(graph: onnx.GraphProto) -> None:
    """Let the convolution itself be the output."""
    [conv] = [node for node in graph.node if node.op_type == "Conv"]
    conv.output[0] = graph.output[0].name
    last = ("clipped_QuantizeLinear", "clipped_DequantizeLinear")
    for node in [node for node in graph.node if node.name in last or node.op_type == "Clip"]:
        graph.node.remove(node)


def test_the_export_says_how_many_nodes_do_not_fuse(tmp_path, monkeypatch):
    monkeypatch.setattr(quantise, "measure_fusion", lambda _: Fusion(3, 1))
    lines = list[str]()
    definition = SimpleNamespace(serve=SimpleNamespace(provider="auto"))
    state: Any = SimpleNamespace(say=lines.append, definition=definition)
    candidate = quantise.count_nodes(state, Candidate("int8", tmp_path / "int8.onnx"))
    assert candidate.fusion == Fusion(3, 1)
    assert lines == ["      int8: 2 of 3 quantised nodes run in float, since they don't fuse"]


def test_a_graph_that_cannot_be_loaded_is_told(tmp_path):
    path = tmp_path / "broken.onnx"
    path.write_bytes(b"no graph")
    with pytest.raises(GraphCrashed, match="Protobuf parsing failed"):
        measure_fusion(path)
