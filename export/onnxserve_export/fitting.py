"""The fp32 graph fitted to 8 bits by NNCF, whose weights and biases lose less there.

NNCF moves large activations into the weights (SmoothQuant, for transformers), and corrects biases by the mean error of
each node; it aligns channels of OpenVINO's own graphs only. The pairs of QuantizeLinear and DequantizeLinear that
it puts in are made for OpenVINO: onnxruntime fuses few of them. So they are taken out again, and onnxruntime's own tool
states the 8 bits.
Source: https://docs.openvino.ai/2025/openvino-workflow/model-optimization-guide/quantizing-models-post-training.html
"""

from __future__ import annotations

import contextlib
import io
import logging
import sys
from collections.abc import Collection
from importlib.util import find_spec
from pathlib import Path

import onnx

from .batches import Batches
from .export_state import ExportState
from .graph_file import weight_files
from .int8 import Types, products_of_weights, quantise_nodes
from .resting_threads import resting_threads

TELEMETRY = "openvino_telemetry"  # the package by which NNCF tells Intel what it does; it goes without
PAIR = ("QuantizeLinear", "DequantizeLinear")
# A quantised table of embeddings would become floats again at each call, and onnxruntime has no integer kernel for the
# other: a bias that makes up for 8 bits would be wrong there.
IN_FLOAT = ["Gather", "ConvTranspose"]

# NNCF's own switches leave a file in the user's home; None in this table says that a package isn't there.
sys.modules[TELEMETRY] = None  # type: ignore[assignment]
if find_spec("nncf") is None:  # said before any long work, since without it exports would choose other variants
    raise ModuleNotFoundError("nncf is not installed", name="nncf")


class NotFitted(Exception):
    """A graph that NNCF can't fit; the text says why."""


def quantise_fitted(state: ExportState, source: Path, target: Path, nodes: list[str], types: Types) -> str:
    """Write `source` with these nodes in 8 bits, and return how that was done.

    Its weights and biases are fitted to that before, unless NNCF can't take the graph.
    """
    fitted = target.with_suffix(".fitted.onnx")
    names = products_of_weights(onnx.load(source, load_external_data=False).graph)
    try:
        fit_graph(source, fitted, state.groups.calibrate, sorted(names.difference(nodes)))
    except NotFitted as error:
        quantise_nodes(state, source, target, nodes, types)
        return f"{types.note}, per channel, not fitted: {error}"
    quantise_nodes(state, fitted, target, nodes, types)
    fitted.unlink()
    return f"{types.note}, per channel, fitted by NNCF"


def fit_graph(source: Path, target: Path, batches: Batches, excluded: list[str]) -> None:
    """Write `source` as a float graph that is fitted to 8 bits, but for the `excluded` nodes.

    NotFitted if NNCF can't take it.
    """
    if weight_files(source):
        raise NotFitted("NNCF takes no weights beside the graph")
    import nncf  # takes seconds, so only where something is quantised
    from nncf.onnx.quantization.backend_parameters import BackendParameters

    nncf.set_log_level(logging.ERROR)
    proto = onnx.load(source)
    own = {name for node in proto.graph.node for name in node.output}
    try:
        with contextlib.redirect_stdout(io.StringIO()), resting_threads():  # it draws progress bars
            fitted = nncf.quantize(
                proto,
                nncf.Dataset(batches, dict),
                subset_size=len(batches),
                preset=nncf.QuantizationPreset.MIXED,
                model_type=nncf.ModelType.TRANSFORMER if has_attention(proto.graph) else None,
                ignored_scope=nncf.IgnoredScope(names=excluded, types=IN_FLOAT, validate=False),
                advanced_parameters=nncf.AdvancedQuantizationParameters(
                    backend_params={BackendParameters.COMPRESS_WEIGHTS: False}
                ),
            )
    except Exception as error:  # its errors have no class in common
        [reason, *_] = [*str(error).splitlines(), "no reason given"]
        raise NotFitted(f"NNCF fails with {type(error).__name__}: {reason}") from error
    remove_pairs(fitted.graph, own)
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


def remove_pairs(graph: onnx.GraphProto, own: Collection[str]) -> None:
    """Let nodes read what the pairs of QuantizeLinear and DequantizeLinear read; drop the pairs and their ranges.

    Pairs stay whose outputs are among `own`: the graph had them before.
    """
    pairs = [node for node in graph.node if node.op_type in PAIR and node.output[0] not in own]
    source = {node.output[0]: node.input[0] for node in pairs}
    kept = [node for node in graph.node if node.output[0] not in source]
    for node in kept:
        for position, name in enumerate(node.input):
            while name in source:
                name = source[name]  # noqa: PLW2901 - back through both nodes of a pair
            node.input[position] = name
    ranges = {name for node in pairs for name in node.input[1:]}
    weights = [tensor for tensor in graph.initializer if tensor.name not in ranges]
    del graph.node[:], graph.initializer[:], graph.value_info[:]
    graph.node.extend(kept)
    graph.initializer.extend(weights)
