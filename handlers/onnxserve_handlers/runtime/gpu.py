"""How ONNX Runtime uses one GPU: provider options, and batches of a fixed size.

The settings are `handler.gpu` of the archive's configuration. Sources of the options:
https://onnxruntime.ai/docs/execution-providers/CUDA-ExecutionProvider.html and …/TensorRT-ExecutionProvider.html.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from ..signature import Tensor

Options = dict[str, str]


class Gpu(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The settings of a worker's GPU."""

    memory_mb: int = 0  # MiB of the arena, beside the memory of weights and libraries; 0 for no limit
    graph: bool = False  # record the kernels of a batch once, and replay them
    tf32: bool = False  # matrix products with 10 bits of mantissa: faster, but not torch's default


def read_gpu(settings: Mapping[str, Any]) -> Gpu:
    """Read `handler.gpu`; raises msgspec.ValidationError that names a wrong field."""
    return msgspec.convert(settings.get("gpu") or {}, Gpu)


def cuda_options(device_id: int, gpu: Gpu) -> Options:
    """Return one session's options for CUDA; its arena grows by the memory it needs, which spares other processes."""
    options = {
        "device_id": str(device_id),
        "arena_extend_strategy": "kSameAsRequested",
        "cudnn_conv_algo_search": "HEURISTIC",  # the exhaustive search would run for every new shape
        "do_copy_in_default_stream": "1",  # one stream: copies can't overtake kernels
        "use_tf32": str(int(gpu.tf32)),
    }
    if gpu.memory_mb:
        options["gpu_mem_limit"] = str(gpu.memory_mb << 20)
    return options | ({"enable_cuda_graph": "1"} if gpu.graph else {})


def tensorrt_options(device_id: int, gpu: Gpu, variant: str, cache: Path, shapes: Options) -> Options:
    """Return one session's options for TensorRT, which keeps engines in `cache`.

    The precision is the variant's, since the proof is about the variant.
    """
    options = {
        "device_id": str(device_id),
        "trt_fp16_enable": str(variant == "fp16"),
        # Only for graphs with ranges in QDQ nodes; dynamic int8 has none.
        "trt_int8_enable": str(variant.startswith(("int8", "mixed")) and variant != "int8-dynamic"),
        "trt_engine_cache_enable": "True",
        "trt_engine_cache_path": str(cache),
        "trt_timing_cache_enable": "True",
        "trt_timing_cache_path": str(cache),
        "trt_cuda_graph_enable": str(gpu.graph),
    }
    if gpu.memory_mb:
        options["trt_max_workspace_size"] = str(gpu.memory_mb << 20)
    return options | shapes


def tensorrt_shapes(
    inputs: Sequence[Tensor], max_batch: int, axes: Mapping[str, int], least: Mapping[str, int] | None = None
) -> Options:
    """Return the range of shapes for one engine, from one row to `max_batch` rows of the largest size.

    `axes` are the largest sizes of the free axes beside the batch, by name, and `least` the smallest. The result is
    empty if one of `axes` is missing: then TensorRT builds an engine for each new shape.
    """
    if any(isinstance(size, str) and size not in axes for tensor in inputs for size in tensor.shape[1:]):
        return {}
    smallest, largest = [], []
    for tensor in inputs:
        free = [
            ((least or {}).get(size, 1), axes[size]) if isinstance(size, str) else (size, size)
            for size in tensor.shape[1:]
        ]
        smallest.append(f"{tensor.name}:{'x'.join(map(str, (1, *(low for low, _ in free))))}")
        largest.append(f"{tensor.name}:{'x'.join(map(str, (max_batch, *(high for _, high in free))))}")
    return {
        "trt_profile_min_shapes": ",".join(smallest),
        "trt_profile_opt_shapes": ",".join(largest),
        "trt_profile_max_shapes": ",".join(largest),
    }


TYPES: dict[str, Any] = {"tensor(float)": np.float32, "tensor(float16)": np.float16, "tensor(int64)": np.int64}
TYPES |= {"tensor(int32)": np.int32, "tensor(uint8)": np.uint8, "tensor(int8)": np.int8, "tensor(bool)": np.bool_}
Arrays = Mapping[str, npt.NDArray[Any]]


@dataclass(frozen=True)
class Slot:
    """The memory of one batch size, bound to the session once."""

    binding: Any
    options: Any
    inputs: dict[str, Any]
    outputs: dict[str, Any]
    host: dict[str, npt.NDArray[Any]]


def has_fixed_shapes(tensors: Sequence[Any]) -> bool:
    """Return whether the batch is the only free axis of all tensors."""
    return all(tensor.type in TYPES and all(isinstance(size, int) for size in tensor.shape[1:]) for tensor in tensors)


class FixedBatch:
    """Runs of a session that all have the largest batch size so far; rows beyond a batch's own repeat its first."""

    def __init__(self, session: Any, device: str, device_id: int, largest: int, *, graph: bool) -> None:
        self._session, self._device, self._graph = session, (device, device_id), graph
        self.size = largest
        self._bound: Slot | None = None

    def run(self, arrays: Arrays) -> dict[str, npt.NDArray[Any]]:
        """Return outputs by name, shapes (rows, ...), for arrays by name of shapes (rows, ...)."""
        rows = len(next(iter(arrays.values())))
        if rows > self.size or self._bound is None:
            self.size = max(rows, self.size)
            self._bound = self._slot(self.size)
        slot = self._bound
        for name, value in slot.inputs.items():
            host, array = slot.host[name], arrays[name]
            host[:rows] = array
            host[rows:] = array[:1]
            value.update_inplace(host)
        self._session.run_with_iobinding(slot.binding, slot.options)
        return {name: value.numpy()[:rows].copy() for name, value in slot.outputs.items()}

    def _slot(self, size: int) -> Slot:
        import onnxruntime as ort

        binding, options = self._session.io_binding(), ort.RunOptions()
        if self._graph:
            options.add_run_config_entry("gpu_graph_id", str(size))
        host = {node.name: np.zeros((size, *node.shape[1:]), TYPES[node.type]) for node in self._session.get_inputs()}
        inputs = {name: ort.OrtValue.ortvalue_from_numpy(array, *self._device) for name, array in host.items()}
        outputs = {node.name: self._empty((size, *node.shape[1:]), node.type) for node in self._session.get_outputs()}
        for name, value in inputs.items():
            binding.bind_ortvalue_input(name, value)
        for name, value in outputs.items():
            binding.bind_ortvalue_output(name, value)
        return Slot(binding, options, inputs, outputs, host)

    def _empty(self, shape: tuple[int, ...], kind: str) -> Any:
        import onnxruntime as ort

        return ort.OrtValue.ortvalue_from_shape_and_type(shape, TYPES[kind], *self._device)
