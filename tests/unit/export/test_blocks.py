"""Blocks of transformers and convolutional networks, as the export traces them and onnxruntime optimises them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from onnx import helper
from torch import nn
from torch.nn import functional

from onnxserve_export.arrays import Arrays, Axes
from onnxserve_export.blocks import Block, count_blocks
from onnxserve_export.graph_file import save_graph
from onnxserve_export.run import write_optimised
from onnxserve_export.sources.torch_module import TorchModule
from tests import ROOT
from tests.helpers import residual
from tests.helpers.graphs import graph_of as graph_of_nodes
from tests.helpers.modules import load_module

LAYERS = 2
BERT = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "layer_norm_eps": 1e-12,
    "num_attention_heads": 4,
    "num_hidden_layers": LAYERS,
    "vocab_size": 50,
    "max_position_embeddings": 16,
    "type_vocab_size": 2,
}
IDS = np.random.default_rng(0).integers(1, 50, (3, 6))
TOKENS: Arrays = {"input_ids": IDS, "attention_mask": np.ones_like(IDS)}
FREE: Axes = {name: {1: "sequence"} for name in TOKENS}
IMAGES: Arrays = {"image": np.random.default_rng(1).normal(size=(3, 3, 32, 32)).astype(np.float32)}


class PreNorm(nn.Module):
    """A layer of a vision transformer: norms in front of attention and of the feed-forward part."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.before, self.between = nn.LayerNorm(width), nn.LayerNorm(width)
        self.mix, self.attended = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.feed = nn.Sequential(nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width))

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        batch, tokens, width = hidden.shape
        parts = self.mix(self.before(hidden)).view(batch, tokens, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        mixed = functional.scaled_dot_product_attention(parts[0], parts[1], parts[2])
        hidden = hidden + self.attended(mixed.transpose(1, 2).reshape(batch, tokens, width))
        return hidden + self.feed(self.between(hidden))  # type: ignore[no-any-return]


class Vision(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, 32, 8, 8)
        self.layers = nn.Sequential(*(PreNorm(32, 4) for _ in range(LAYERS)))
        self.norm, self.head = nn.LayerNorm(32), nn.Linear(32, 4)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        tokens = self.patches(image).flatten(2).transpose(1, 2)
        return self.head(self.norm(self.layers(tokens)).mean(1))  # type: ignore[no-any-return]


def bert() -> Any:
    torch.manual_seed(0)
    return load_module(ROOT / "models" / "sentiment" / "bert.py").Encoder(BERT).eval()


def graph_of(module: nn.Module, example: Arrays, axes: Axes) -> onnx.ModelProto:
    proto, _ = TorchModule(module).graph(example, axes)
    return proto


def optimised(proto: onnx.ModelProto, folder: Path) -> dict[str, Block]:
    save_graph(proto, folder / "graph.onnx")
    write_optimised(folder / "graph.onnx", folder / "optimised.onnx")
    return count_blocks(onnx.load(folder / "optimised.onnx", load_external_data=False).graph)


def test_a_text_encoders_norms_and_gelus_are_one_kernel_each(tmp_path):
    blocks = optimised(graph_of(bert(), TOKENS, FREE), tmp_path)
    assert blocks == {  # sums and attention are left apart: docs/decisions/0026-fusions.md
        "attention": Block(0, LAYERS),
        "layer norm": Block(2 * LAYERS + 1, 0),
        "GELU": Block(LAYERS, 0),
        "skip": Block(0, 2 * LAYERS),
    }


def test_a_vision_transformers_norms_and_gelus_are_one_kernel_each(tmp_path):
    blocks = optimised(graph_of(Vision().eval(), IMAGES, {}), tmp_path)
    assert blocks["layer norm"] == Block(2 * LAYERS + 1, 0)
    assert blocks["GELU"] == Block(LAYERS, 0)
    assert blocks["attention"] == Block(0, LAYERS)
    assert blocks["skip"].fused == 0


def test_a_residual_network_has_no_batch_norm_and_no_activation_behind_a_convolution(tmp_path):
    proto = graph_of(residual.network(), IMAGES, {})
    assert count_blocks(proto.graph)["convolution"].loose > 0
    assert optimised(proto, tmp_path).get("convolution", Block(0, 0)).loose == 0


def test_blocks_of_several_nodes_are_counted_as_loose():
    """A GELU by the error function, and a norm by its root, as older exporters write them."""
    nodes = [
        helper.make_node("ReduceMean", ["square"], ["mean"]),
        helper.make_node("Add", ["mean", "small"], ["sum"]),
        helper.make_node("Sqrt", ["sum"], ["root"]),
        helper.make_node("Erf", ["root"], ["error"]),
        helper.make_node("Softmax", ["error"], ["weights"]),
        helper.make_node("MatMul", ["weights", "values"], ["y"]),
    ]
    assert count_blocks(graph_of_nodes(nodes).graph) == {
        "attention": Block(0, 1),
        "layer norm": Block(0, 1),
        "GELU": Block(0, 1),
    }
