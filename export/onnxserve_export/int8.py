"""Integers of 8 bits with calibrated ranges (QDQ): which types this CPU multiplies well, and which nodes take part."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

import onnx
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

from .arrays import Arrays
from .export_state import ExportState
from .graph_file import weight_files
from .resting_threads import resting_threads
from .variants import GPUS

# Only products with a weight: Add and Softmax in 8 bits ruin transformers, and attention's own products gain nothing.
STATIC_OPS = ("Conv", "MatMul", "Gemm")
# Behind a convolution; its range is taken after them, and then says what they do.
ACTIVATIONS = ("Clip", "Relu")
# Their kernels give floats: what follows (a bias, a normalisation) needs no second rounding.
FLOAT_OUTPUTS = ("MatMul", "Gemm")
VNNI = {"avx512_vnni", "avx_vnni", "amx_int8"}
ARM = {"asimddp", "i8mm"}


class NotApplicable(Exception):
    """A variant that can't be made from this graph or these rows."""


@dataclass(frozen=True)
class Types:
    """Types of activations and weights; `reduce_range` takes 7 bits of a weight."""

    activation: QuantType
    weight: QuantType
    reduce_range: bool
    note: str


def types_for(flags: list[str], provider: str = "auto") -> Types:
    """Return the types that suit the CPU's instructions, or the GPU's kernels.

    Without VNNI, x86 adds pairs of unsigned x signed products in 16 bits, which saturates; weights
    of 7 bits can't. Source: https://onnxruntime.ai/docs/performance/model-optimizations/quantization.html
    (section on reduce_range and U8S8).
    """
    if provider in GPUS:
        return Types(QuantType.QInt8, QuantType.QInt8, False, "signed activations and weights (GPU)")
    if VNNI & set(flags):
        return Types(QuantType.QUInt8, QuantType.QInt8, False, "unsigned activations, signed weights (VNNI)")
    if ARM & set(flags):
        return Types(QuantType.QInt8, QuantType.QInt8, False, "signed activations and weights (ARM dot products)")
    return Types(QuantType.QUInt8, QuantType.QInt8, True, "unsigned activations, weights of 7 bits (no VNNI)")


class Calibration(CalibrationDataReader):  # type: ignore[misc]  # onnxruntime ships no types
    """Reads the calibrate rows, batch by batch."""

    def __init__(self, batches: Iterable[Arrays]) -> None:
        self._rest: Iterator[Arrays] = iter(batches)

    def get_next(self) -> Arrays | None:
        """Return the next batch, None at the end."""
        return next(self._rest, None)


def weighted_nodes(proto: onnx.ModelProto) -> list[onnx.NodeProto]:
    """Return the nodes that multiply by a weight, in the graph's order."""
    weights = {tensor.name for tensor in proto.graph.initializer}
    return [
        node
        for node in proto.graph.node
        if node.op_type in STATIC_OPS and len(node.input) > 1 and node.input[1] in weights
    ]


def products_of_weights(graph: onnx.GraphProto) -> set[str]:
    """Return the names of products that read a weight, or what other nodes make of weights alone."""
    constant = {tensor.name for tensor in graph.initializer}
    names = set[str]()
    for node in graph.node:
        if node.op_type in STATIC_OPS and not constant.isdisjoint(node.input[:2]):
            names.add(node.name)
        elif node.op_type == "Constant" or (node.input and constant.issuperset(filter(None, node.input))):
            constant.update(node.output)
    return names


def excluded_nodes(proto: onnx.ModelProto, patterns: tuple[str, ...]) -> list[str]:
    """Return the names of quantisable nodes whose own name, or a weight's, matches one of the globs."""
    return [
        node.name
        for node in proto.graph.node
        if node.op_type in STATIC_OPS
        and any(fnmatch(name, pattern) for name in (node.name, *node.input) for pattern in patterns)
    ]


def quantisable(proto: onnx.ModelProto, patterns: tuple[str, ...]) -> tuple[list[str], tuple[str, ...]]:
    """Return the names of the nodes that may be in 8 bits, and of those that the globs exclude."""
    excluded = excluded_nodes(proto, patterns)
    return [node.name for node in weighted_nodes(proto) if node.name not in excluded], tuple(excluded)


def activations_behind(graph: onnx.GraphProto, nodes: Collection[str]) -> list[str]:
    """Return the names of the activations that read nothing but the output of one of these nodes."""
    outputs = {node.output[0] for node in graph.node if node.name in nodes}
    return [node.name for node in graph.node if node.op_type in ACTIVATIONS and node.input[0] in outputs]


def quantise_nodes(
    state: ExportState, source: Path, target: Path, nodes: list[str], types: Types, ranges: Path | None = None
) -> None:
    """Write `source` with these nodes in 8 bits; ranges of activations are kept in the file `ranges` if it is named."""
    behind = activations_behind(onnx.load(source, load_external_data=False).graph, nodes)
    if is_large := bool(weight_files(source)):
        target.with_name(f"{target.name}.data").unlink(missing_ok=True)  # weights would be written behind its end
    with contextlib.redirect_stdout(io.StringIO()), resting_threads():  # the calibrator prints
        quantize_static(
            source,
            target,
            Calibration(state.groups.calibrate),
            quant_format=QuantFormat.QDQ,
            activation_type=types.activation,
            weight_type=types.weight,
            reduce_range=types.reduce_range,
            per_channel=True,
            op_types_to_quantize=[*STATIC_OPS, *ACTIVATIONS],
            nodes_to_quantize=[*nodes, *behind],
            use_external_data_format=is_large,
            extra_options={
                "OpTypesToExcludeOutputQuantization": list(FLOAT_OUTPUTS),
                # GPU kernels want ranges with their zero in the middle.
                "ActivationSymmetric": state.definition.serve.provider in GPUS,
            },
            calibration_cache_path=ranges,
        )
