"""Finding the module where a graph and its source part."""

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper

from onnxserve_export.divergence import first_divergence, module_outputs
from onnxserve_export.sources.torch_module import TorchModule

ROWS = {"x": np.random.default_rng(0).normal(size=(3, 4)).astype(np.float32)}
TENSORS = {"x": torch.from_numpy(ROWS["x"])}


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
