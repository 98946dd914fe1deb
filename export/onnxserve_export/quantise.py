"""Step quantise: make one graph for each variant of the definition; the step `measure` compares them with torch."""

from __future__ import annotations

import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path

import onnx
from onnxruntime.quantization import QuantType, quantize_dynamic
from onnxruntime.quantization.shape_inference import quant_pre_process
from onnxruntime.transformers.float16 import convert_float_to_float16

from onnxserve.errors import CheckFailed

from .batches import Batches
from .environment import cpu_flags
from .export_state import ExportState
from .fitting import quantise_fitted
from .fusion import measure_fusion
from .graph_file import save_graph, weight_files
from .graph_outputs import GraphOutputs
from .int8 import NotApplicable, quantisable, types_for
from .plan import advice
from .records import Candidate
from .step import Step
from .trace import strip
from .variants import FP16, FP32, GPUS, INT8, OPENVINO, SEARCHED

BLOCK = 128  # weights that share a scale
INTEGER_PRODUCTS = 4  # MatMulNBits' level that computes with 8 bits; the others compute in float, slower than fp32


def _int8(state: ExportState, source: Path, target: Path) -> tuple[tuple[str, ...], str]:
    types = types_for(cpu_flags(), state.definition.serve.provider)
    nodes, excluded = quantisable(onnx.load(source, load_external_data=False), state.definition.quantise.exclude)
    if not nodes:
        raise NotApplicable("no node that it could quantise")
    return excluded, quantise_fitted(state, source, target, nodes, types)


def _dynamic(_: ExportState, source: Path, target: Path) -> tuple[tuple[str, ...], str]:
    types = types_for(cpu_flags())
    quantize_dynamic(
        source,
        target,
        op_types_to_quantize=["MatMul"],
        weight_type=QuantType.QInt8,
        per_channel=True,
        reduce_range=types.reduce_range,
    )
    return (), "ranges taken from each batch, per channel"


def _fp16(_: ExportState, source: Path, target: Path) -> tuple[tuple[str, ...], str]:
    proto = convert_float_to_float16(onnx.load(source), keep_io_types=True)
    onnx.save(proto, target)
    return (), ""


def _weight_only(bits: int, _: ExportState, source: Path, target: Path) -> tuple[tuple[str, ...], str]:
    # It imports onnx_ir and sympy, which no other variant needs.
    from onnxruntime.quantization.matmul_nbits_quantizer import MatMulNBitsQuantizer

    quantiser = MatMulNBitsQuantizer(
        onnx.load(source), bits=bits, block_size=BLOCK, is_symmetric=True, accuracy_level=INTEGER_PRODUCTS
    )
    quantiser.process()
    quantiser.model.save_model_to_file(str(target))
    return (), f"weights only, blocks of {BLOCK}"


Maker = Callable[[ExportState, Path, Path], tuple[tuple[str, ...], str]]
MAKERS: dict[str, Maker] = {
    INT8: _int8,
    "int8-dynamic": _dynamic,
    FP16: _fp16,
    "w8": partial(_weight_only, 8),
    "w4": partial(_weight_only, 4),
}


def make_candidate(state: ExportState, variant: str, source: Path) -> Candidate:
    """Make one variant's graph; NotApplicable when the quantiser changed nothing."""
    if variant == FP32:
        candidate = Candidate(variant, state.fp32)
        return candidate if state.options.draft else count_nodes(state, candidate)
    target = state.scratch / f"{variant}.onnx"
    excluded, note = MAKERS[variant](state, source, target)
    proto = onnx.load(target)
    read = onnx.load(source, load_external_data=False)
    before, after = ([node.op_type for node in p.graph.node] for p in (read, proto))
    if before == after and variant != FP16:
        raise NotApplicable("no node that it could quantise")
    write_graph(target, proto)
    return count_nodes(state, Candidate(variant, target, excluded, note))


def count_nodes(state: ExportState, candidate: Candidate) -> Candidate:
    """Return the candidate with its count of quantised and fused nodes; say it if they differ.

    Only ONNX Runtime's own kernels for CPUs are counted.
    """
    if state.definition.serve.provider in {*GPUS, OPENVINO}:
        return candidate
    fusion = measure_fusion(candidate.path)
    if fusion.fault:
        state.say(f"      {candidate.variant}: {fusion.fault}")
    return replace(candidate, fusion=fusion)


def write_graph(target: Path, proto: onnx.ModelProto) -> None:
    """Write a graph without what would change its digest from run to run."""
    strip(proto)
    save_graph(proto, target)


def preprocess_graph(state: ExportState) -> Path:
    """Return the fp32 graph with the inferred shapes that quantisers need."""
    source = state.scratch / "prepared.onnx"
    if not source.exists():
        large = bool(weight_files(state.fp32))
        quant_pre_process(
            str(state.fp32),
            str(source),
            skip_symbolic_shape=True,
            skip_optimization=True,
            save_as_external_data=large,
            all_tensors_to_one_file=large,
            external_data_location="prepared.data" if large else None,
        )
    return source


def fp32_outputs(state: ExportState) -> GraphOutputs:
    """Return fp32's outputs for the batches from certify to mixed, which follow each other.

    They are computed beside this step, whose tools leave a core idle most of the time.
    """
    groups = state.groups
    whole = Batches(groups.certify.path, groups.certify.start, groups.mixed.stop)
    return state.start(state.fp32, whole)


def call(state: ExportState) -> None:
    """Make every variant but the searched one; one that can't be made is refused with its reason."""
    logging.getLogger().setLevel(logging.ERROR)  # the quantisers log advice on the root logger
    state.candidates, state.refused, state.fp32_outputs = [], dict(state.plan.left), None
    if FP32 in state.plan.variants:
        state.fp32_outputs = fp32_outputs(state)
    variants = [variant for variant in state.plan.variants if variant != SEARCHED]
    source = state.fp32 if variants == [FP32] else preprocess_graph(state)
    with ThreadPoolExecutor(1) as beside:
        # Its nodes are only counted, by another process.
        early = {variant: beside.submit(make_candidate, state, FP32, source) for variant in variants if variant == FP32}
        for number, variant in enumerate(variants):
            state.progress("quantise", number, len(variants))
            try:
                candidate = early[variant].result() if variant in early else make_candidate(state, variant, source)
                state.candidates.append(candidate)
            except Exception as error:  # noqa: BLE001 - a toolchain's failure is a refusal, whatever its type
                state.refused[variant] = f"could not be made: {error}"
                state.say(f"      {variant}: {state.refused[variant]}")
    if not state.candidates and variants:
        raise CheckFailed("quantise", "no variant could be made", "at least one", fix=advice(state))


STEP = Step("quantise", ("fp32", "groups"), ("candidates", "refused", "fp32_outputs"), call)
