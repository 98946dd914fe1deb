"""The fp32 graph fitted to 8 bits by NNCF, whose weights and biases lose less there.

NNCF moves large activations into the weights (SmoothQuant, for transformers), evens out the channels of neighbouring
convolutions, and corrects biases by the mean error of each node. The pairs of QuantizeLinear and DequantizeLinear that
it puts in are made for OpenVINO: onnxruntime fuses few of them. So they are taken out again, and onnxruntime's own tool
states the 8 bits.
Source: https://docs.openvino.ai/2025/openvino-workflow/model-optimization-guide/quantizing-models-post-training.html
"""

from __future__ import annotations

import contextlib
import io
import logging
import sys
from pathlib import Path

import onnx

from .batches import Batches
from .export_state import ExportState
from .int8 import Types, quantise_nodes, weighted_nodes

TELEMETRY = "openvino_telemetry"  # the package by which NNCF tells Intel what it does; it goes without
PAIR = ("QuantizeLinear", "DequantizeLinear")


def quantise_fitted(state: ExportState, source: Path, target: Path, nodes: list[str], types: Types) -> None:
    """Write `source` with these nodes in 8 bits, after its weights and biases were fitted to that."""
    fitted = target.with_suffix(".fitted.onnx")
    names = {node.name for node in weighted_nodes(onnx.load(source))}
    fit_graph(source, fitted, state.groups.calibrate, sorted(names.difference(nodes)))
    quantise_nodes(state, fitted, target, nodes, types)
    fitted.unlink()


def fit_graph(source: Path, target: Path, batches: Batches, excluded: list[str]) -> None:
    """Write `source` as a float graph that is fitted to 8 bits, but for the `excluded` nodes."""
    # NNCF's own switches leave a file in the user's home; None in this table says that a package isn't there.
    sys.modules[TELEMETRY] = None  # type: ignore[assignment]
    import nncf  # takes seconds, so only where something is quantised
    from nncf.onnx.quantization.backend_parameters import BackendParameters

    nncf.set_log_level(logging.ERROR)
    proto = onnx.load(source)
    with contextlib.redirect_stdout(io.StringIO()):  # it draws progress bars
        fitted = nncf.quantize(
            proto,
            nncf.Dataset(batches, dict),
            subset_size=len(batches),
            preset=nncf.QuantizationPreset.MIXED,
            model_type=nncf.ModelType.TRANSFORMER if has_attention(proto.graph) else None,
            # A quantised table of embeddings would become floats again at each call.
            ignored_scope=nncf.IgnoredScope(names=excluded, types=["Gather"], validate=False),
            advanced_parameters=nncf.AdvancedQuantizationParameters(
                backend_params={BackendParameters.COMPRESS_WEIGHTS: False}
            ),
        )
    remove_pairs(fitted.graph)
    onnx.save(fitted, target)


def has_attention(graph: onnx.GraphProto) -> bool:
    """Return whether a product reads a softmax, directly or behind operators that only move numbers."""
    behind = set[str]()
    for node in graph.node:
        if node.op_type == "Attention":
            return True
        reads = not behind.isdisjoint(node.input)
        if reads and node.op_type == "MatMul":
            return True
        if node.op_type == "Softmax" or (reads and node.op_type in ("Cast", "Where", "Reshape", "Transpose")):
            behind.update(node.output)
    return False


def remove_pairs(graph: onnx.GraphProto) -> None:
    """Let nodes read what the pairs of QuantizeLinear and DequantizeLinear read; drop the pairs and their ranges."""
    source = {node.output[0]: node.input[0] for node in graph.node if node.op_type in PAIR}
    kept = [node for node in graph.node if node.op_type not in PAIR]
    for node in kept:
        for position, name in enumerate(node.input):
            while name in source:
                name = source[name]  # noqa: PLW2901 - back through both nodes of a pair
            node.input[position] = name
    used = {name for node in kept for name in node.input}
    weights = [tensor for tensor in graph.initializer if tensor.name in used]
    del graph.node[:], graph.initializer[:], graph.value_info[:]
    graph.node.extend(kept)
    graph.initializer.extend(weights)
