"""The profiler's times are told by the names of nodes."""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from onnxserve_export.node_times import node_times


def test_every_node_has_its_time(tmp_path):
    draws = np.random.default_rng(0)
    weights = [
        numpy_helper.from_array(draws.normal(size=shape).astype(np.float32), name)
        for name, shape in (("wide", (64, 4096)), ("bias", (4096,)), ("narrow", (4096, 1)))
    ]
    # onnxruntime would make one operator of a product and its bias, by another name.
    nodes = [
        helper.make_node("MatMul", ["x", "wide"], ["product"], name="first"),
        helper.make_node("Add", ["product", "bias"], ["middle"], name="bias"),
        helper.make_node("MatMul", ["middle", "narrow"], ["y"], name="second"),
    ]
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [64, size]) for name, size in (("x", 64), ("y", 1))]
    graph = helper.make_graph(nodes, "g", ends[:1], ends[1:], weights)
    path = tmp_path / "products.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10), path)
    times = node_times(path, [{"x": draws.normal(size=(64, 64)).astype(np.float32)}] * 3)
    assert times.keys() == {"first", "bias", "second"}
    assert min(times.values()) > 0
