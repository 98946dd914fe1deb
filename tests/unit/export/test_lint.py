"""Traps in graphs are found by name; a sound graph has none."""

import numpy as np
import pytest
import torch
from onnx import helper

from onnxserve_export.lint import findings
from onnxserve_export.sources.torch_module import TorchModule
from tests.helpers.graphs import graph_of


@pytest.mark.parametrize(
    ("proto", "kind", "fatal"),
    [
        (graph_of([helper.make_node("RandomNormalLike", ["x"], ["y"], "n")]), "random operator", True),
        (graph_of([helper.make_node("Neg", ["x"], ["Neg"], "n")], outputs=("Neg",)), "name collision", True),
        (
            graph_of([helper.make_node("Relu", ["x"], ["h"], "n"), helper.make_node("Neg", ["h"], ["y"], "n")]),
            "name collision",
            True,
        ),
        (graph_of([helper.make_node("NonZero", ["x"], ["y"], "n")]), "data-dependent shape", False),
        (graph_of([helper.make_node("Relu", ["x"], ["y"], "n")], inputs=("x", "z")), "unused input", False),
    ],
)
def test_a_trap_is_found_by_name(proto, kind, fatal):
    [finding] = findings(proto)
    assert (finding.kind, finding.fatal) == (kind, fatal)


def test_a_sound_graph_has_no_finding():
    torch.manual_seed(0)
    module = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 2))
    proto, _ = TorchModule(module).graph({"x": np.zeros((3, 4), np.float32)}, {})
    assert findings(proto) == []
