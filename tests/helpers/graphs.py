"""Small ONNX graphs, made node by node."""

from __future__ import annotations

from collections.abc import Sequence

import onnx
from onnx import TensorProto, helper


def graph_of(
    nodes: Sequence[onnx.NodeProto], inputs: Sequence[str] = ("x",), outputs: Sequence[str] = ("y",)
) -> onnx.ModelProto:
    """Return a model of these nodes; each input and output is float32 of shape (batch, 4)."""

    def value(name: str) -> onnx.ValueInfoProto:
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", 4])

    graph = helper.make_graph(list(nodes), "g", list(map(value, inputs)), list(map(value, outputs)))
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)])
