"""The types of quantised numbers follow the machine, and activations take part with the node that they follow."""

import pytest
from onnx import helper
from onnxruntime.quantization import QuantType

from onnxserve_export.int8 import activations_behind, types_for


@pytest.mark.parametrize(
    ("flags", "reduced"),
    [(["avx2"], True), (["avx2", "avx512f"], True), (["avx2", "avx_vnni"], False), (["i8mm"], False)],
)
def test_weights_take_7_bits_where_products_would_saturate(flags, reduced):
    assert types_for(flags).reduce_range is reduced


@pytest.mark.parametrize("provider", ["cuda", "tensorrt"])
def test_gpus_get_signed_types_whatever_the_cpu(provider):
    types = types_for(["avx2"], provider)
    assert types.activation == types.weight == QuantType.QInt8
    assert not types.reduce_range


def test_an_activation_is_stated_in_8_bits_with_the_node_that_it_follows():
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["a"], name="conv"),
        helper.make_node("Clip", ["a"], ["b"], name="clip"),
        helper.make_node("Conv", ["b", "w"], ["c"], name="in float"),
        helper.make_node("Relu", ["c"], ["d"], name="relu"),
        helper.make_node("Add", ["a", "d"], ["y"], name="sum"),
    ]
    graph = helper.make_graph(nodes, "g", [], [])
    assert activations_behind(graph, {"conv"}) == ["clip"]
    assert activations_behind(graph, {"conv", "in float"}) == ["clip", "relu"]
