"""Traps in graphs, and finding the place where a graph and its module part."""

from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from onnxserve.errors import CheckFailed
from onnxserve_export.batches import write_batches
from onnxserve_export.divergence import first_divergence, module_outputs
from onnxserve_export.lint import findings
from onnxserve_export.records import Range
from onnxserve_export.sources.torch_module import TorchModule
from onnxserve_export.trace import check_declared, check_ranges, name_axes, name_unnamed

ROWS = {"x": np.random.default_rng(0).normal(size=(3, 4)).astype(np.float32)}
TENSORS = {"x": torch.from_numpy(ROWS["x"])}
FIX = "free the axis"


class Inner(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first = torch.nn.Linear(4, 8)
        self.second = torch.nn.Linear(8, 8)
        self.third = torch.nn.Linear(8, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.third(torch.relu(self.second(torch.relu(self.first(x)))))
        return logits


@pytest.fixture(scope="module")
def traced() -> tuple[torch.nn.Module, onnx.ModelProto]:
    torch.manual_seed(0)
    module = Inner()
    proto, _ = TorchModule(module).graph(ROWS, {})
    return module, proto


def graph(nodes, inputs=("x",), outputs=("y",), initializers=()) -> onnx.ModelProto:
    def value(name: str) -> onnx.ValueInfoProto:
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", 4])

    made = helper.make_graph(nodes, "g", list(map(value, inputs)), list(map(value, outputs)), list(initializers))
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", 20)])


@pytest.mark.parametrize(
    ("proto", "kind", "fatal"),
    [
        (graph([helper.make_node("RandomNormalLike", ["x"], ["y"], "n")]), "random operator", True),
        (graph([helper.make_node("Neg", ["x"], ["Neg"], "n")], outputs=("Neg",)), "name collision", True),
        (
            graph([helper.make_node("Relu", ["x"], ["h"], "n"), helper.make_node("Neg", ["h"], ["y"], "n")]),
            "name collision",
            True,
        ),
        (graph([helper.make_node("NonZero", ["x"], ["y"], "n")]), "data-dependent shape", False),
        (graph([helper.make_node("Relu", ["x"], ["y"], "n")], inputs=("x", "z")), "unused input", False),
    ],
)
def test_a_trap_is_found_by_name(proto, kind, fatal):
    [finding] = findings(proto)
    assert (finding.kind, finding.fatal) == (kind, fatal)


def test_a_sound_graph_has_no_finding(traced):
    assert findings(traced[1]) == []


def test_the_first_module_that_diverges_is_named_with_its_node(traced, tmp_path):
    module, proto = traced
    changed = onnx.ModelProto.FromString(proto.SerializeToString())
    [weight] = [tensor for tensor in changed.graph.initializer if tensor.name == "second.bias"]
    weight.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(weight) + 0.5, weight.name))
    path = tmp_path / "changed.onnx"
    onnx.save(changed, path)
    divergence = first_divergence(module, TENSORS, path, ROWS)
    assert divergence is not None
    assert (divergence.module, divergence.kind) == ("second", "Linear")
    assert divergence.node.startswith("second/")
    assert divergence.deviation > 0.1
    assert "first at module second (Linear)" in str(divergence)


def test_a_graph_that_agrees_has_no_diverging_module(traced, tmp_path):
    module, proto = traced
    onnx.save(proto, tmp_path / "same.onnx")
    assert first_divergence(module, TENSORS, tmp_path / "same.onnx", ROWS) is None


def test_a_module_that_runs_twice_is_not_compared():
    class Twice(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = torch.nn.Linear(4, 4)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            out: torch.Tensor = self.layer(self.layer(x))
            return out

    assert module_outputs(Twice().eval(), TENSORS) == {}


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
    with pytest.raises(CheckFailed, match="holds from 32 to None only, allowed 31 to 128"):
        check_ranges(longer, axes, 32, {"sequence": 128}, FIX, {"sequence": 31})
    assert check_ranges(longer, axes, 32, {"sequence": 128}, FIX, {"sequence": 32}) == longer


def test_torch_export_itself_tells_of_a_branch_on_the_batch():
    class Branch(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x * (2.0 if x.shape[0] > 4 else 1.0)

    _, axis_ranges = TorchModule(Branch()).graph(ROWS, {})
    assert axis_ranges[0] == Range("x", 0, 0, 4)


def test_an_axis_that_varies_though_the_handler_declares_it_fixed_is_named(tmp_path):
    short, long = ({"ids": np.zeros((2, size), np.int64)} for size in (5, 32))
    shapes = {str(size): write_batches([batch], tmp_path / f"{size}.npz") for size, batch in ((5, short), (32, long))}
    with pytest.raises(CheckFailed, match="tensor ids is 5 to 32 long on axis 1, which it declares fixed") as caught:
        check_declared(shapes, {})
    assert 'dynamic_axes = {"ids": {1: "length"}}' in caught.value.fix
    check_declared(shapes, {"ids": {1: "sequence"}})


def test_nodes_without_a_name_or_with_that_of_another_get_one():
    names = ["", "graph/Relu_0", "same", "same"]
    proto = graph([helper.make_node("Relu", ["x"], [f"y{number}"], name) for number, name in enumerate(names)])
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
