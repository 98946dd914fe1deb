"""The traced graph: names of its nodes and axes, and the ranges that its axes hold."""

from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from onnxserve.errors import CheckFailed
from onnxserve_export.batches import write_batches
from onnxserve_export.preprocess import first_batches
from onnxserve_export.records import Range
from onnxserve_export.trace import check_declared, check_ranges, example, name_axes, name_unnamed
from tests.helpers.graphs import graph_of

FIX = "free the axis"


def test_a_free_axis_must_reach_what_the_signature_allows():
    free = [Range("x", 0, 0, None), Range("x", 1, 4, 4)]
    assert check_ranges(free, {}, 32, {}, FIX) == free[:1]
    for bad in (Range("x", 0, 0, 4), Range("x", 0, 3, 3), Range("x", 0, 3, None)):
        with pytest.raises(CheckFailed, match="axis 0 of x holds from") as caught:
            check_ranges([bad], {}, 32, {}, FIX)
        assert caught.value.fix == FIX
    axes = {"x": {1: "sequence"}}
    with pytest.raises(CheckFailed, match="1 to 128"):
        check_ranges([Range("x", 0, 0, None), Range("x", 1, 2, 64)], axes, 32, {"sequence": 128}, FIX)
    longer = [Range("x", 1, 32, None)]
    with pytest.raises(CheckFailed, match="holds from 32 to None only; allowed: 31 to 128"):
        check_ranges(longer, axes, 32, {"sequence": 128}, FIX, {"sequence": 31})
    assert check_ranges(longer, axes, 32, {"sequence": 128}, FIX, {"sequence": 32}) == longer


def test_an_axis_that_varies_though_the_handler_declares_it_fixed_is_named(tmp_path):
    short, long = ({"ids": np.zeros((2, size), np.int64)} for size in (5, 32))
    shapes = {str(size): write_batches([batch], tmp_path / f"{size}.npz") for size, batch in ((5, short), (32, long))}
    with pytest.raises(CheckFailed, match="tensor ids is 5 to 32 long on axis 1, which it declares fixed") as caught:
        check_declared(shapes, {})
    assert 'dynamic_axes = {"ids": {1: "length"}}' in caught.value.fix
    check_declared(shapes, {"ids": {1: "sequence"}})


def test_rows_that_may_not_be_padded_are_traced_and_checked_in_whole_batches(tmp_path):
    rows = [{"audio": np.full((1, size), float(size))} for size in (5, 6, 7)]  # each runs alone: none has its size
    names = ("batch 1, long rows", "batch 3, long rows", "batch 5, short rows")
    shapes = {name: write_batches(rows, tmp_path / f"{number}.npz") for number, name in enumerate(names)}
    np.testing.assert_array_equal(example(shapes)["audio"], np.full((3, 5), 5.0))
    assert [batch["audio"].shape for batch in first_batches(shapes).values()] == [(1, 5), (3, 5), (5, 5)]
    assert example({names[0]: shapes[names[0]]})["audio"].shape == (1, 5)


def test_nodes_without_a_name_or_with_that_of_another_get_one():
    names = ["", "graph/Relu_0", "same", "same"]
    proto = graph_of([helper.make_node("Relu", ["x"], [f"y{number}"], name) for number, name in enumerate(names)])
    name_unnamed(proto)
    assert [node.name for node in proto.graph.node] == ["graph/Relu_1", "graph/Relu_0", "same", "graph/Relu_2"]


def test_axes_have_the_handlers_names_and_outputs_those_of_the_inputs_that_they_follow():
    def value(name: str, shape: list[Any]) -> onnx.ValueInfoProto:
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)

    inputs = [value("ids", ["s0", "s1"]), value("image", ["s0", "s5"])]
    outputs = [value("tags", ["s0", "s1", 3]), value("boxes", ["s0", "s9", 4]), value("wide", ["s0", "s7"])]
    proto = helper.make_model(helper.make_graph([], "g", inputs, outputs))
    batch = {"ids": np.zeros((3, 6)), "image": np.zeros((3, 8))}
    answers = {"tags": np.zeros((3, 6, 3)), "boxes": np.zeros((3, 9, 4)), "wide": np.zeros((3, 16))}
    name_axes(proto, batch, answers, {"ids": {1: "sequence"}}, {"boxes": {1: "boxes_1"}})
    shapes = {
        value.name: [dim.dim_param or dim.dim_value for dim in value.type.tensor_type.shape.dim]
        for value in (*proto.graph.input, *proto.graph.output)
    }
    assert shapes == {
        "ids": ["batch", "sequence"],
        "image": ["batch", 8],
        "tags": ["batch", "sequence", 3],
        "boxes": ["batch", "boxes_1", 4],
        "wide": ["batch", 16],
    }
