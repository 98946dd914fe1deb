"""How ONNX Runtime uses one GPU: the provider's options, from `handler.gpu` of the archive's configuration.

https://onnxruntime.ai/docs/execution-providers/CUDA-ExecutionProvider.html and …/TensorRT-ExecutionProvider.html.
"""

from __future__ import annotations

import logging
import os
import re
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import onnxruntime as ort

from ..signature import Tensor

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


log = logging.getLogger(__name__)
STICKY = re.compile(r"CUDA (?:failure|error) (?:7(?:00|02|1[014-9]|20)|2(?:14|20)|999)\b")
ANSWER_S = 0.5  # for the batch at hand to be answered
STATUS = 1


def lost(error: BaseException) -> bool:
    """Whether the process can't use its GPU any more after this."""
    return bool(STICKY.search(str(error)))


def leave(error: BaseException) -> None:
    """End the process once the batch is answered; TorchServe then starts another worker."""
    log.critical("the GPU is lost to this process, which ends: %s", error)
    timer = threading.Timer(ANSWER_S, os._exit, (STATUS,))
    timer.daemon = True
    timer.start()


TYPES: dict[str, Any] = {"tensor(float)": np.float32, "tensor(float16)": np.float16, "tensor(int64)": np.int64}
TYPES |= {"tensor(int32)": np.int32, "tensor(uint8)": np.uint8, "tensor(int8)": np.int8, "tensor(bool)": np.bool_}
Arrays = Mapping[str, npt.NDArray[Any]]


@dataclass(frozen=True)
class Slot:
    """Memory of a batch size, bound once."""

    binding: Any
    options: Any
    inputs: dict[str, Any]
    outputs: dict[str, Any]
    host: dict[str, npt.NDArray[Any]]


def fixed(tensors: Sequence[Any]) -> bool:
    """Whether only the batch is free."""
    return all(tensor.type in TYPES and all(isinstance(size, int) for size in tensor.shape[1:]) for tensor in tensors)


class Padded:
    """A session's runs, all at the largest size so far; rows beyond those asked for repeat the first."""

    def __init__(self, session: Any, device: str, device_id: int, largest: int, *, graph: bool) -> None:
        self._session, self._device, self._graph = session, (device, device_id), graph
        self.size = largest
        self._bound: Slot | None = None

    def run(self, arrays: Arrays) -> dict[str, npt.NDArray[Any]]:
        """Outputs by name, for arrays whose dimension 0 is the batch."""
        rows = len(next(iter(arrays.values())))
        if rows > self.size or self._bound is None:
            self.size = max(rows, self.size)
            self._bound = self._slot(self.size)
        slot = self._bound
        for name, value in slot.inputs.items():
            host, given = slot.host[name], arrays[name]
            host[:rows] = given
            host[rows:] = given[:1]
            value.update_inplace(host)
        self._session.run_with_iobinding(slot.binding, slot.options)
        return {name: value.numpy()[:rows].copy() for name, value in slot.outputs.items()}

    def _slot(self, size: int) -> Slot:
        binding, options = self._session.io_binding(), ort.RunOptions()
        if self._graph:
            options.add_run_config_entry("gpu_graph_id", str(size))
        host = {one.name: np.zeros((size, *one.shape[1:]), TYPES[one.type]) for one in self._session.get_inputs()}
        inputs = {name: ort.OrtValue.ortvalue_from_numpy(array, *self._device) for name, array in host.items()}
        outputs = {one.name: self._empty((size, *one.shape[1:]), one.type) for one in self._session.get_outputs()}
        for name, value in inputs.items():
            binding.bind_ortvalue_input(name, value)
        for name, value in outputs.items():
            binding.bind_ortvalue_output(name, value)
        return Slot(binding, options, inputs, outputs, host)

    def _empty(self, shape: tuple[int, ...], kind: str) -> Any:
        return ort.OrtValue.ortvalue_from_shape_and_type(shape, TYPES[kind], *self._device)
