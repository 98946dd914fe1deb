"""Blocks of a network that onnxruntime has one kernel for: attention, normalisation, GELU, and sums in front of a norm.

A graph that is loaded states them by several nodes, or by one; onnxruntime joins those whose form it knows. Counted in
the graph that it optimised, loose blocks are those that it didn't join.
Source: https://onnxruntime.ai/docs/performance/model-optimizations/graph-optimizations.html (extended optimisations).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass

import onnx

ATTENTION = ("Attention", "MultiHeadAttention", "QAttention", "GroupQueryAttention")
NORMS = ("LayerNormalization", "SimplifiedLayerNormalization", "RMSNormalization")
SKIPS = ("SkipLayerNormalization", "SkipSimplifiedLayerNormalization")
EMBEDDINGS = ("EmbedLayerNormalization",)
GELUS = ("Gelu", "BiasGelu", "FastGelu", "QuickGelu")
CONVOLUTIONS = ("FusedConv", "NhwcFusedConv")
PRODUCTS = ("MatMul", "FusedMatMul")
MOVES = ("Cast", "Where", "Reshape", "Transpose", "Identity", "QuantizeLinear", "DequantizeLinear", "Mul", "Div")
ACTIVATIONS = ("Relu", "Clip", "LeakyRelu", "Sigmoid", "HardSigmoid")


@dataclass(frozen=True)
class Block:
    """How many blocks of one kind are one node, and how many are several."""

    fused: int
    loose: int


class Reader:
    """A graph by its tensors: the node that makes each, and those that read it."""

    def __init__(self, graph: onnx.GraphProto) -> None:
        self.nodes = list(graph.node)
        self.makers = {name: node for node in graph.node for name in node.output if name}
        self.readers: dict[str, list[onnx.NodeProto]] = {}
        for node in graph.node:
            for name in node.input:
                self.readers.setdefault(name, []).append(node)

    def count(self, operators: Collection[str]) -> int:
        """Return the number of nodes of these operators."""
        return sum(node.op_type in operators for node in self.nodes)

    def of(self, *operators: str) -> Iterator[onnx.NodeProto]:
        """Yield the nodes of these operators."""
        return (node for node in self.nodes if node.op_type in operators)

    def reading(self, node: onnx.NodeProto) -> list[onnx.NodeProto]:
        """Return the nodes that read a node's first output."""
        return self.readers.get(node.output[0], [])

    def made_by(self, node: onnx.NodeProto, operator: str) -> list[onnx.NodeProto]:
        """Return the nodes of this operator that make a node's inputs."""
        makers = (self.makers.get(name) for name in node.input)
        return [maker for maker in makers if maker is not None and maker.op_type == operator]

    def reaches_product(self, node: onnx.NodeProto) -> bool:
        """Return whether a product reads a node's output, directly or behind nodes that only move numbers."""
        return any(
            reader.op_type in PRODUCTS or (reader.op_type in MOVES and self.reaches_product(reader))
            for reader in self.reading(node)
        )


def count_blocks(graph: onnx.GraphProto) -> dict[str, Block]:
    """Return the blocks of each kind that a graph has."""
    reader = Reader(graph)
    skips = reader.count(SKIPS)
    blocks = {
        "attention": Block(reader.count(ATTENTION), sum(map(reader.reaches_product, reader.of("Softmax")))),
        "layer norm": Block(reader.count(NORMS) + reader.count(EMBEDDINGS) + skips, _loose_norms(reader)),
        "GELU": Block(reader.count(GELUS), _loose_gelus(reader)),
        "skip": Block(skips, sum(_reads_sum(reader, node) for node in reader.of(*NORMS))),
        "convolution": Block(_fused_convolutions(reader), _loose_convolutions(reader)),
    }
    return {kind: block for kind, block in blocks.items() if block.fused or block.loose}


def _loose_norms(reader: Reader) -> int:
    """Return the roots of a mean and a small constant, which normalise by the standard deviation."""
    sums = [node for root in reader.of("Sqrt") for node in reader.made_by(root, "Add")]
    return sum(bool(reader.made_by(node, "ReduceMean")) for node in sums)


def _loose_gelus(reader: Reader) -> int:
    """Return the error functions, and the hyperbolic tangents of a cube, to which 1 is added."""
    tangents = (node for node in reader.of("Tanh") if _behind_cube(reader, node, 4))
    return reader.count(("Erf",)) + sum(
        any(user.op_type == "Add" for user in reader.reading(node)) for node in tangents
    )


def _behind_cube(reader: Reader, node: onnx.NodeProto, steps: int) -> bool:
    makers = [maker for name in node.input if (maker := reader.makers.get(name))]
    return any(maker.op_type == "Pow" or (steps and _behind_cube(reader, maker, steps - 1)) for maker in makers)


def _reads_sum(reader: Reader, norm: onnx.NodeProto) -> bool:
    """Return whether a norm reads the sum of two tensors that the graph computes."""
    maker = reader.makers.get(norm.input[0])
    return maker is not None and maker.op_type == "Add" and all(name in reader.makers for name in maker.input)


def _fused_convolutions(reader: Reader) -> int:
    """Return the convolutions that have their activation as an attribute."""
    return sum(any(field.name == "activation" for field in node.attribute) for node in reader.of("Conv", *CONVOLUTIONS))


def _loose_convolutions(reader: Reader) -> int:
    """Return the batch norms and activations that alone read a convolution."""
    readers = (reader.reading(node) for node in reader.of("Conv"))
    return sum(len(nodes) == 1 and nodes[0].op_type in (*ACTIVATIONS, "BatchNormalization") for nodes in readers)
