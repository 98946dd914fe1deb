"""Where a graph and its torch module diverge: the first module whose output differs, and the node that makes it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch

from onnxserve.scratch import Scratch

from .arrays import Array, Arrays
from .deviation import TOLERANCE, deviation, magnitude_of
from .run import GraphCrashed, run_graph


@dataclass(frozen=True)
class Divergence:
    """The first torch module, in the order in which they finish, whose output the graph doesn't reproduce."""

    module: str
    kind: str
    node: str
    deviation: float  # of the largest magnitude of its output

    def __str__(self) -> str:
        return f"first at module {self.module} ({self.kind}), node {self.node}: deviates by {self.deviation:.3g}"


def module_outputs(module: torch.nn.Module, arguments: Mapping[str, torch.Tensor]) -> dict[str, Array]:
    """Return the output of every inner module that gives one tensor and ran once, in the order they finish."""
    outputs: dict[str, Array] = {}
    repeated: set[str] = set()

    def remember(name: str) -> Any:
        def hook(_module: Any, _given: Any, output: Any) -> None:
            if name in outputs:
                repeated.add(name)
            if isinstance(output, torch.Tensor) and output.is_floating_point():
                outputs[name] = output.detach().numpy().astype(np.float32)

        return hook

    handles = [submodule.register_forward_hook(remember(name)) for name, submodule in module.named_modules() if name]
    try:
        with torch.inference_mode():
            module(**arguments)
    finally:
        for handle in handles:
            handle.remove()
    return {name: array for name, array in outputs.items() if name not in repeated}


def last_nodes(proto: onnx.ModelProto, names: list[str]) -> dict[str, onnx.NodeProto]:
    """Return the last node of each module that has any; `trace` names nodes `<module>/<operator>_<n>`."""
    nodes = {}
    for node in proto.graph.node:
        path = node.name.rpartition("/")[0]
        nodes.update({name: node for name in names if path == name or path.startswith(f"{name}.")})
    return nodes


def first_divergence(
    module: torch.nn.Module, arguments: Mapping[str, torch.Tensor], graph: Path, arrays: Arrays
) -> Divergence | None:
    """Return the first module that diverges on this batch; None when every inner one that can be compared agrees.

    `arguments` are the same tensors as `arrays`, by the names of the module's parameters.
    """
    expected = module_outputs(module, arguments)
    proto = onnx.load(graph)
    nodes = last_nodes(proto, list(expected))
    known = {output.name for output in proto.graph.output}
    for name in {node.output[0] for node in nodes.values()} - known:
        proto.graph.output.append(onnx.ValueInfoProto(name=name))
    with Scratch() as scratch:
        path = scratch / "opened.onnx"
        onnx.save(proto, path)
        try:
            [actual] = run_graph(path, [arrays])
        except GraphCrashed:
            return None
    for name, module_output in expected.items():
        if name not in nodes:
            continue
        graph_output = actual[nodes[name].output[0]]
        if graph_output.shape != module_output.shape:
            continue
        distance = deviation(graph_output, module_output, magnitude_of(module_output))
        if distance > TOLERANCE:
            kind = type(module.get_submodule(name)).__name__
            return Divergence(name, kind, nodes[name].name, distance)
    return None
