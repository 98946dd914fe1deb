"""What onnxruntime joins into one kernel: quantised nodes, which else compute in float, and blocks of a network.

A graph states 8 bits by pairs of QuantizeLinear and DequantizeLinear. onnxruntime joins a node and the pairs around it
into one kernel where their form allows it.
Source: https://onnxruntime.ai/docs/performance/model-optimizations/quantization.html.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import onnx

from .blocks import Block, count_blocks
from .run import write_optimised

# Operators that multiply a weight, and the kernels that do so with integers.
PRODUCTS = ("Conv", "ConvTranspose", "MatMul", "Gemm")
STORED = ("MatMulNBits", "MatMulInteger", "ConvInteger")  # in the graph itself, without pairs
KERNELS = (*STORED, "QLinearConv", "QLinearMatMul", "QGemm", "MatMulIntegerToFloat", "DynamicQuantizeMatMul")


@dataclass(frozen=True)
class Fusion:
    """The nodes that a graph states in 8 bits or fewer, those that run in integer kernels, and its blocks by kind."""

    quantised: int
    fused: int
    blocks: Mapping[str, Block] = field(default_factory=dict)

    @property
    def fault(self) -> str:
        """What is wrong, empty if all quantised nodes run in integer kernels."""
        if self.fused >= self.quantised:
            return ""
        return f"{self.quantised - self.fused} of {self.quantised} quantised nodes run in float, since they don't fuse"


NOT_QUANTISED = Fusion(0, 0)


def quantised_nodes(graph: onnx.GraphProto) -> int:
    """Return the number of nodes whose weight is stored in 8 bits or fewer."""
    dequantised = {node.output[0] for node in graph.node if node.op_type == "DequantizeLinear"}
    pairs = (node for node in graph.node if node.op_type in PRODUCTS and node.input[1] in dequantised)
    return sum(1 for _ in pairs) + sum(node.op_type in STORED for node in graph.node)


def fused_nodes(graph: onnx.GraphProto) -> int:
    """Return the number of nodes of an optimised graph that are integer kernels."""
    return sum(node.op_type in KERNELS for node in graph.node)


def measure_fusion(path: Path) -> Fusion:
    """Count a graph's nodes as onnxruntime optimises it for this CPU; GraphCrashed if the graph can't be loaded."""
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        optimised = Path(folder) / "optimised.onnx"
        write_optimised(path, optimised)
        graphs = [onnx.load(file, load_external_data=False).graph for file in (path, optimised)]
    return Fusion(quantised_nodes(graphs[0]), fused_nodes(graphs[1]), count_blocks(graphs[1]))
