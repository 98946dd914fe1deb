"""Nodes that get float32 and float64 get float64, and the types of all values are known."""

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper

from onnxserve_export.sources.type_promotion import promote


def graph_of(*nodes: onnx.NodeProto) -> onnx.ModelProto:
    """A graph of a table in float64 with a constant in float32."""
    table = helper.make_tensor_value_info("table", TensorProto.DOUBLE, [None, 2])
    output = helper.make_tensor_value_info("output", TensorProto.DOUBLE, None)
    constant = onnx.numpy_helper.from_array(np.array([[1, 2]], np.float32), "constant")
    graph = helper.make_graph([*nodes], "g", [table], [output], [constant])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)


def test_float32_beside_float64_is_cast_before_the_node_that_gets_both():
    proto = graph_of(
        helper.make_node("Mul", ["constant", "constant"], ["squares"]),
        helper.make_node("Add", ["table", "squares"], ["sums"]),
        helper.make_node("Greater", ["sums", "constant"], ["above"]),
        helper.make_node("Where", ["above", "squares", "table"], ["output"]),
    )
    kinds = promote(proto)
    assert (kinds["squares"], kinds["sums"], kinds["above"], kinds["output"]) == (1, 11, 9, 11)
    assert [node.op_type for node in proto.graph.node].count("Cast") == 3
    session = onnxruntime.InferenceSession(proto.SerializeToString(), providers=["CPUExecutionProvider"])
    [output] = session.run(None, {"table": np.array([[0.1, -7.0]])})
    np.testing.assert_array_equal(output, [[1, -7.0]])


def test_a_graph_of_one_type_stays_as_it_is():
    proto = graph_of(helper.make_node("Abs", ["table"], ["output"]))
    before = proto.SerializeToString()
    assert promote(proto)["output"] == TensorProto.DOUBLE
    assert proto.SerializeToString() == before
