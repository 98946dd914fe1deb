"""The outputs of the source: what differs between calls has a cause with a name, and the signature describes them."""

import random
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import numpy as np
import pytest
import torch
from onnx import TensorProto, helper

from onnxserve.errors import CheckFailed
from onnxserve_export.reference import _state_activation, check_repeatable
from onnxserve_export.sources.onnx_file import OnnxSource
from onnxserve_export.sources.torch_module import TorchModule
from onnxserve_handlers.tasks.classification import ClassificationOptions

ROWS = {"x": np.ones((3, 2), np.float32)}
SCALES = {"output_0": np.ones(1)}


class Counting(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.calls = torch.nn.Buffer(torch.zeros(()))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.calls.add_(1)
        return x + self.calls


class Steps(torch.nn.Module):
    steps = 0


class Remembering(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inner = Steps()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.inner.steps += 1
        return x * self.inner.steps


class Drawing(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + torch.rand_like(x) + random.random()


class Hiding(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.seen: list[int] = []

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.seen.append(1)
        return x + len(self.seen)


@pytest.mark.parametrize(
    ("module", "fix"),
    [
        (Counting(), "each call changes the module's state, calls:"),
        (Remembering(), r"each call changes the module's state, inner\.steps:"),
        (Hiding(), "something that the module keeps between calls changes"),
        (Drawing(), "the module draws random numbers"),
    ],
)
def test_the_cause_of_other_answers_is_named(module, fix):
    with pytest.raises(CheckFailed, match=r"torch's answers to the same rows differ by .* from one call") as caught:
        check_repeatable(TorchModule(module), ROWS, SCALES)
    assert re.match(fix, caught.value.fix)


def test_a_graph_that_draws_random_numbers_names_the_nodes_that_do():
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", 2]) for name in ("x", "output_0")]
    nodes = [
        helper.make_node("RandomNormalLike", ["x"], ["r"], name="noise"),
        helper.make_node("Add", ["x", "r"], ["output_0"]),
    ]
    graph = helper.make_graph(nodes, "g", ends[:1], ends[1:])
    source = OnnxSource(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), "g")
    with pytest.raises(CheckFailed, match="onnxruntime's answers to the same rows differ") as caught:
        check_repeatable(source, ROWS, SCALES)
    assert "noise RandomNormalLike" in caught.value.fix


def test_a_source_that_repeats_its_answers_passes():
    check_repeatable(TorchModule(torch.nn.Linear(2, 1)), ROWS, SCALES)


@pytest.mark.parametrize(
    ("outputs", "activation"), [(np.array([[3.0, -1.0]]), "softmax"), (np.array([[0.7, 0.3]]), "none")]
)
def test_the_signature_states_what_the_outputs_are_and_probabilities_are_printed(outputs, activation, tmp_path: Path):
    (tmp_path / "signature.json").write_text('{"output": {"activation": "auto"}}')
    printed: list[str] = []
    definition = SimpleNamespace(output=ClassificationOptions(labels=("a", "b", "c")))
    state: Any = SimpleNamespace(archive_folder=tmp_path, say=printed.append, definition=definition)
    _state_activation(state, outputs)
    written = msgspec.json.decode((tmp_path / "signature.json").read_bytes())
    assert (written, len(printed)) == ({"output": {"activation": activation}}, activation == "none")
