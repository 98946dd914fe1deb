"""Step quantise: one graph for each variant of the definition. Whether it is any good, `measure` finds out."""

from __future__ import annotations

import logging
from collections.abc import Callable
from fnmatch import fnmatch
from pathlib import Path

import onnx
from onnxruntime.quantization import (
    CalibrationDataReader,
    QuantFormat,
    QuantType,
    quantize_dynamic,
    quantize_static,
)
from onnxruntime.quantization.matmul_nbits_quantizer import MatMulNBitsQuantizer
from onnxruntime.quantization.shape_inference import quant_pre_process
from onnxruntime.transformers.float16 import convert_float_to_float16

from onnxserve.errors import CheckFailed

from .step import Step
from .trace import strip
from .work import Arrays, Candidate, Work

# Add and Softmax stay in float: quantising them is what ruins transformers.
STATIC_OPS = ("Conv", "MatMul", "Gemm")
BLOCK = 32


class NotApplicable(Exception):
    """The graph has nothing that this variant could change."""


class Calibration(CalibrationDataReader):  # type: ignore[misc]  # onnxruntime ships no types
    """The calibrate rows, batch by batch."""

    def __init__(self, groups: list[Arrays]) -> None:
        self._rest = iter(groups)

    def get_next(self) -> Arrays | None:
        """The next group, None at the end."""
        return next(self._rest, None)


def excluded_nodes(proto: onnx.ModelProto, patterns: tuple[str, ...]) -> list[str]:
    """Names of quantisable nodes whose own name, or a weight's, matches one of the globs."""
    found = []
    for node in proto.graph.node:
        names = [node.name, *node.input]
        if node.op_type in STATIC_OPS and any(fnmatch(name, pattern) for name in names for pattern in patterns):
            found.append(node.name)
    return found


def _static(work: Work, source: Path, target: Path) -> tuple[str, ...]:
    proto = onnx.load(source)
    excluded = excluded_nodes(proto, work.definition.quantise.exclude)
    quantize_static(
        source,
        target,
        Calibration(work.groups.calibrate),
        quant_format=QuantFormat.QDQ,
        # Unsigned activations and signed weights: what x86 with VNNI multiplies without saturating.
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
        per_channel=True,
        op_types_to_quantize=list(STATIC_OPS),
        nodes_to_exclude=excluded,
    )
    return tuple(excluded)


def _dynamic(_: Work, source: Path, target: Path) -> tuple[str, ...]:
    quantize_dynamic(source, target, op_types_to_quantize=["MatMul"], weight_type=QuantType.QInt8, per_channel=True)
    return ()


def _fp16(_: Work, source: Path, target: Path) -> tuple[str, ...]:
    proto = convert_float_to_float16(onnx.load(source), keep_io_types=True)
    onnx.save(proto, target)
    return ()


def _weight_only(bits: int) -> Callable[[Work, Path, Path], tuple[str, ...]]:
    def quantise(_: Work, source: Path, target: Path) -> tuple[str, ...]:
        quantiser = MatMulNBitsQuantizer(onnx.load(source), bits=bits, block_size=BLOCK, is_symmetric=True)
        quantiser.process()
        quantiser.model.save_model_to_file(str(target))
        return ()

    return quantise


MAKERS: dict[str, Callable[[Work, Path, Path], tuple[str, ...]]] = {
    "int8-static": _static,
    "int8-dynamic": _dynamic,
    "fp16": _fp16,
    "w8": _weight_only(8),
    "w4": _weight_only(4),
}


def make_candidate(work: Work, variant: str, source: Path) -> Candidate:
    """One variant's graph; NotApplicable when it came out as it went in."""
    if variant == "fp32":
        return Candidate(variant, work.fp32)
    target = work.scratch / f"{variant}.onnx"
    excluded = MAKERS[variant](work, source, target)
    proto = onnx.load(target)
    before, after = ([node.op_type for node in p.graph.node] for p in (onnx.load(source), proto))
    if before == after and variant != "fp16":
        raise NotApplicable("no node that it could quantise")
    strip(proto)
    target.write_bytes(proto.SerializeToString(deterministic=True))
    return Candidate(variant, target, excluded)


def call(work: Work) -> None:
    """Make every variant; one that can't be made is refused with its reason, unless none is left."""
    logging.getLogger().setLevel(logging.ERROR)  # the quantisers log advice on the root logger
    source = work.scratch / "prepared.onnx"
    quant_pre_process(str(work.fp32), str(source), skip_symbolic_shape=True, skip_optimization=True)
    work.candidates, work.refused = [], {}
    for variant in work.definition.quantise.variants:
        try:
            work.candidates.append(make_candidate(work, variant, source))
        except Exception as error:  # noqa: BLE001 - a toolchain's failure is a refusal, whatever its type
            work.refused[variant] = f"could not be made: {error}"
            work.say(f"      {variant}: {work.refused[variant]}")
    if not work.candidates:
        raise CheckFailed("quantise", "no variant could be made", "at least one", fix="add fp32 to quantise.variants")


STEP = Step("quantise", ("fp32", "groups"), ("candidates", "refused"), call)
