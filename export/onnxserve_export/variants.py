"""Which variants of a model compete: those that its definition names, every one, or the default."""

from __future__ import annotations

from collections.abc import Collection
from typing import get_args

from onnxserve.definition import Definition
from onnxserve.definition.sections import Variant

from .environment import cpu_flags
from .options import ExportOptions

FP32 = "fp32"  # the source's own operators in its own precision: it needs no certificate
FP16 = "fp16"
INT8 = "int8"
SEARCHED = "mixed"  # made by the step `search`
EVERY: tuple[str, ...] = get_args(Variant)
GPUS = {"cuda", "tensorrt"}
CPU, OPENVINO = "cpu", "openvino"  # providers that an export runs graphs on
# ONNX Runtime multiplies 8 bits on GPUs by TensorRT alone; its CUDA kernels turn them into floats at each call.
# Source: https://onnxruntime.ai/docs/performance/model-optimizations/quantization.html (quantization on GPU)
WITHOUT_INT8 = "cuda"
HALF_FLOATS = "asimdhp"  # other CPUs convert half floats to floats and back around each operator


def competing_variants(
    definition: Definition, options: ExportOptions, flags: Collection[str] | None = None
) -> tuple[str, ...]:
    """Return the variants that compete; `flags` are the CPU's instruction sets, by default this machine's."""
    if options.all_variants:
        return EVERY
    if definition.quantise.variants:
        return definition.quantise.variants
    provider = definition.serve.provider
    if provider == WITHOUT_INT8:
        return (FP16, FP32)
    has_half_floats = provider in GPUS or HALF_FLOATS in (cpu_flags() if flags is None else flags)
    return (INT8, FP16, FP32) if has_half_floats else (INT8, FP32)
