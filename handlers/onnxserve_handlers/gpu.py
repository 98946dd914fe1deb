"""How ONNX Runtime uses one GPU: the provider's options, from `handler.gpu` of the archive's configuration.

https://onnxruntime.ai/docs/execution-providers/CUDA-ExecutionProvider.html and …/TensorRT-ExecutionProvider.html.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from .signature import Tensor

Options = dict[str, str]


class Gpu(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a worker may take of its GPU, and how."""

    memory_mb: int = 0  # of the arena, beside weights' and libraries' own; 0 for no limit
    graph: bool = False  # record the kernels of a batch once, and replay them
    tf32: bool = False  # matrix products with 10 bits of mantissa: faster, and not what torch computes by default


def read_gpu(settings: Mapping[str, Any]) -> Gpu:
    """`handler.gpu`; msgspec.ValidationError names a wrong field."""
    return msgspec.convert(settings.get("gpu") or {}, Gpu)


def cuda_options(device_id: int, gpu: Gpu) -> Options:
    """Of one session: its arena grows by what is asked for, so that neighbours on the GPU keep theirs."""
    found = {
        "device_id": str(device_id),
        "arena_extend_strategy": "kSameAsRequested",
        "cudnn_conv_algo_search": "HEURISTIC",  # the exhaustive search runs again for every new shape
        "do_copy_in_default_stream": "1",  # one stream: copies can't overtake kernels
        "use_tf32": str(int(gpu.tf32)),
    }
    if gpu.memory_mb:
        found["gpu_mem_limit"] = str(gpu.memory_mb << 20)
    return found | ({"enable_cuda_graph": "1"} if gpu.graph else {})


def tensorrt_options(device_id: int, gpu: Gpu, variant: str, cache: Path, shapes: Options) -> Options:
    """Of one session; engines are kept in `cache`. Precision is the variant's, which the proof speaks of."""
    found = {
        "device_id": str(device_id),
        "trt_fp16_enable": str(variant == "fp16"),
        # Only for graphs that bring ranges, as QDQ nodes; dynamic int8 brings none.
        "trt_int8_enable": str(variant.startswith(("int8", "mixed")) and variant != "int8-dynamic"),
        "trt_engine_cache_enable": "True",
        "trt_engine_cache_path": str(cache),
        "trt_timing_cache_enable": "True",
        "trt_timing_cache_path": str(cache),
        "trt_cuda_graph_enable": str(gpu.graph),
    }
    if gpu.memory_mb:
        found["trt_max_workspace_size"] = str(gpu.memory_mb << 20)
    return found | shapes


def tensorrt_shapes(inputs: Sequence[Tensor], max_batch: int, axes: Mapping[str, int]) -> Options:
    """One engine for all shapes, from one row to `max_batch` of the longest; without it each new shape builds another.

    `axes` are the largest sizes of the free axes beside the batch.
    """
    if any(isinstance(size, str) and size not in axes for tensor in inputs for size in tensor.shape[1:]):
        return {}
    smallest, largest = [], []
    for tensor in inputs:
        free = [(1, axes[size]) if isinstance(size, str) else (size, size) for size in tensor.shape[1:]]
        smallest.append(f"{tensor.name}:{'x'.join(map(str, (1, *(low for low, _ in free))))}")
        largest.append(f"{tensor.name}:{'x'.join(map(str, (max_batch, *(high for _, high in free))))}")
    return {
        "trt_profile_min_shapes": ",".join(smallest),
        "trt_profile_opt_shapes": ",".join(largest),
        "trt_profile_max_shapes": ",".join(largest),
    }
