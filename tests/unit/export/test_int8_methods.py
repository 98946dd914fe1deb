"""How a graph gets 8 bits: SmoothQuant, ranges behind activations, a scale for each channel, and sums left in float."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper, numpy_helper

from onnxserve_export import fitting
from onnxserve_export.arrays import Array
from onnxserve_export.batches import Batches, write_batches
from onnxserve_export.fitting import quantise_fitted
from onnxserve_export.fusion import measure_fusion
from onnxserve_export.int8 import quantise_nodes, types_for

WIDE = 3  # the channel of the activation that is far larger than the others
VNNI = types_for(["avx512_vnni"])


def value(name: str, *shape: int | str) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)


def save(path: Path, nodes: list[onnx.NodeProto], ends: list[Any], weights: dict[str, Array]) -> Path:
    tensors = [numpy_helper.from_array(array.astype(np.float32), name) for name, array in weights.items()]
    graph = helper.make_graph(nodes, "g", ends[:1], ends[1:], tensors)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10), path)
    return path


def state_of(batches: Batches) -> Any:
    return SimpleNamespace(
        groups=SimpleNamespace(calibrate=batches), definition=SimpleNamespace(serve=SimpleNamespace(provider="auto"))
    )


def weights_of(graph: onnx.GraphProto) -> dict[str, Array]:
    return {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}


@pytest.fixture
def attention(tmp_path: Path) -> tuple[Path, Batches]:
    """One head of attention over rows of 16 numbers, one of which is a hundred times larger than the others."""
    draws = np.random.default_rng(0)
    weights = {name: draws.normal(size=(16, 16)) for name in ("query", "key", "value")}
    for weight in weights.values():
        weight[WIDE] /= 100
    nodes = [helper.make_node("MatMul", ["x", name], [f"of {name}"], name=name) for name in weights]
    nodes += [
        helper.make_node("Transpose", ["of key"], ["columns"], perm=[0, 2, 1]),
        helper.make_node("MatMul", ["of query", "columns"], ["scores"], name="scores"),
        helper.make_node("Softmax", ["scores"], ["shares"], axis=-1),
        helper.make_node("MatMul", ["shares", "of value"], ["y"], name="mix"),
    ]
    source = save(
        tmp_path / "source.onnx", nodes, [value("x", "batch", "length", 16), value("y", "batch", "length", 16)], weights
    )
    gain = np.where(np.arange(16) == WIDE, 10, 0.1).astype(np.float32)
    rows = ({"x": draws.normal(size=(8, 5, 16)).astype(np.float32) * gain} for _ in range(4))
    return source, write_batches(rows, tmp_path / "rows.npz")


def error_of(graph: Path, source: Path, batches: Batches) -> float:
    outputs = []
    for path in (graph, source):
        session = ort.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        outputs.append(np.concatenate([session.run(None, batch)[0] for batch in batches]))
    return float((outputs[0] - outputs[1]).std() / outputs[1].std())


def test_a_large_channel_in_front_of_attention_is_moved_into_the_weights(attention, tmp_path, monkeypatch):
    source, batches = attention
    target, errors = tmp_path / "int8.onnx", list[float]()
    for _ in range(2):
        quantise_fitted(state_of(batches), source, target, ["query", "key", "value"], VNNI)
        assert measure_fusion(target).fault == ""
        errors.append(error_of(target, source, batches))
        monkeypatch.setattr(fitting, "has_attention", lambda _: False)  # as for a graph without attention
    assert errors[0] < 0.5 * errors[1]


@pytest.fixture
def products(tmp_path: Path) -> tuple[Path, Batches]:
    """A convolution with its clip, then a product that gives floats; one channel of each is larger than the others."""
    draws = np.random.default_rng(1)
    kernels, columns = draws.normal(size=(4, 3, 3, 3)), draws.normal(size=(4, 2))
    kernels[WIDE] *= 100
    columns[:, 1] *= 100
    nodes = [
        helper.make_node("Conv", ["x", "kernels"], ["sums"], name="conv", pads=[1, 1, 1, 1]),
        helper.make_node("Clip", ["sums", "low", "high"], ["clipped"], name="clip"),
        helper.make_node("GlobalAveragePool", ["clipped"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["flat"]),
        helper.make_node("MatMul", ["flat", "columns"], ["y"], name="product"),
    ]
    weights = {"kernels": kernels, "low": np.array(0.0), "high": np.array(6.0), "columns": columns}
    source = save(tmp_path / "source.onnx", nodes, [value("x", "batch", 3, 8, 8), value("y", "batch", 2)], weights)
    rows = ({"x": draws.normal(size=(8, 3, 8, 8)).astype(np.float32)} for _ in range(2))
    return source, write_batches(rows, tmp_path / "rows.npz")


def test_a_range_is_taken_behind_the_clip_weights_have_a_scale_each_channel_and_sums_stay_in_float(products, tmp_path):
    source, batches = products
    quantise_nodes(state_of(batches), source, tmp_path / "int8.onnx", ["conv", "product"], VNNI)
    graph = onnx.load(tmp_path / "int8.onnx").graph
    weights, readers = weights_of(graph), {name: node for node in graph.node for name in node.input}
    of_weights = [node for node in graph.node if node.op_type == "DequantizeLinear" and node.input[0] in weights]
    assert sorted(weights[node.input[1]].size for node in of_weights) == [2, 4]
    behind = readers[next(node.output[0] for node in graph.node if node.op_type == "Conv")]
    assert behind.op_type == "QuantizeLinear", "which clips too"
    assert float(weights[behind.input[1]]) <= 6 / 255 * 1.001, "its range is the clip's"
    [product] = [node for node in graph.node if node.name == "product"]
    assert product.output[0] == graph.output[0].name
    assert measure_fusion(tmp_path / "int8.onnx").fault == ""
