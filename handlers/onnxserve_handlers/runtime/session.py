"""tensors -> outputs: one ONNX Runtime session on the requested provider and no other, with its share of threads.

OpenVINO is a provider for CPUs, in a build of its own or as a plugin beside ONNX Runtime. The build is the package
onnxruntime-openvino, which takes the place of onnxruntime. The plugin, onnxruntime-ep-openvino, finds Intel's
processors only (https://github.com/microsoft/onnxruntime/pull/31981). Sources:
https://onnxruntime.ai/docs/execution-providers/OpenVINO-ExecutionProvider.html (`load_config`), and
https://docs.openvino.ai/2025/openvino-workflow/running-inference/inference-devices-and-modes/cpu-device.html.
"""

from __future__ import annotations

import logging
import os
import tempfile
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import onnxruntime as ort

from .gpu import FixedBatch, Gpu, Options, cuda_options, has_fixed_shapes, tensorrt_options

CPU = "CPUExecutionProvider"
CUDA = "CUDAExecutionProvider"
TENSORRT = "TensorrtExecutionProvider"
OPENVINO = "OpenVINOExecutionProvider"
BUILD, PLUGIN = "onnxruntime-openvino", "onnxruntime-ep-openvino"
REGISTERED = "onnxserve.openvino"  # a process registers the plugin once
LOG_ERRORS, LOG_FATAL = 3, 4  # ONNX Runtime's levels
# Transformers in 8 bits take 10 to 18 % less time without it, in fp32 as much (docs/decisions/0026-fusions.md).
SLOWER = "SkipLayerNormFusion"
WARM_RUNS = 3  # the second run makes a recording, the third replays it
NAMES = {"cuda": CUDA, "tensorrt": TENSORRT, "openvino": OPENVINO}
PACKAGES = {CUDA: "onnxruntime-gpu", TENSORRT: "onnxruntime-gpu", OPENVINO: BUILD}
Arrays = Mapping[str, npt.NDArray[Any]]
log = logging.getLogger(__name__)


class ProviderRefused(RuntimeError):
    """The requested execution provider isn't active, so the worker must not load."""


@dataclass(frozen=True)
class Provider:
    """The execution provider to use, the reason for it, and how it uses its GPU."""

    name: str
    device_id: int = 0
    reason: str = ""
    gpu: Gpu = field(default_factory=Gpu)
    variant: str = ""
    shapes: Options = field(default_factory=dict)  # for TensorRT's engine

    @property
    def on_gpu(self) -> bool:
        """Whether inputs are copied to a GPU."""
        return self.name in (CUDA, TENSORRT)


def available_providers() -> list[str]:
    """Return the execution providers of this ONNX Runtime, and OpenVINO where its plugin takes the processor."""
    return list(dict.fromkeys([*ort.get_available_providers(), *([OPENVINO] if has_openvino() else [])]))


def choose_provider(name: str, gpu_id: int | None, available: list[str]) -> Provider:
    """Return the provider for a setting: `cpu`, `openvino`, `cuda`, `tensorrt` or `auto`.

    `auto` means CUDA if TorchServe gave the worker a GPU and this build of ONNX Runtime can use it, else the CPU.
    Raises ProviderRefused.
    """
    if name == "cpu":
        return Provider(CPU, reason="asked for")
    if name in NAMES:
        if NAMES[name] not in available:
            raise ProviderRefused(
                f"provider {name!r} was asked for, but this onnxruntime has {available}; "
                f"install {PACKAGES[NAMES[name]]} or set handler.provider to 'cpu'"
            )
        return Provider(NAMES[name], gpu_id or 0, "asked for")
    if name != "auto":
        raise ProviderRefused(f"handler.provider is {name!r}; use 'auto', 'cpu', 'openvino', 'cuda' or 'tensorrt'")
    if gpu_id is None:
        return Provider(CPU, reason="auto: TorchServe gave this worker no GPU")
    if CUDA not in available:
        return Provider(CPU, reason="auto: this onnxruntime has no CUDA; install onnxruntime-gpu to use the GPU")
    return Provider(CUDA, gpu_id, "auto: TorchServe gave this worker a GPU")


@cache
def has_openvino() -> bool:
    """Return whether the build has OpenVINO, or the plugin finds a processor that it takes."""
    return _is_built_in() or bool(_devices())


def add_openvino(options: ort.SessionOptions, threads: int) -> list[Any]:
    """Let a session run on OpenVINO's CPU device, on so many threads and in the graph's own precision.

    Returns ONNX Runtime's argument `providers`. Threads aren't pinned, since workers that pin theirs would share the
    first cores.
    """
    properties = {
        "INFERENCE_NUM_THREADS": str(threads),
        "NUM_STREAMS": "1",
        "ENABLE_CPU_PINNING": "NO",
        "INFERENCE_PRECISION_HINT": "f32",  # else CPUs with bfloat16 would compute floats in it
    }
    settings = {"load_config": msgspec.json.encode({"CPU": properties}).decode()}
    if _is_built_in():
        return [(OPENVINO, {"device_type": "CPU", **settings})]
    options.add_provider_for_devices(_devices(), settings)
    return []


def _is_built_in() -> bool:
    return OPENVINO in ort.get_available_providers()


@cache
def _devices() -> list[Any]:
    """Return the processors that the plugin finds; none without a plugin that this ONNX Runtime can load."""
    if find_spec(PLUGIN.replace("-", "_")) is None:
        return []
    import onnxruntime_ep_openvino as plugin

    try:
        ort.register_execution_provider_library(REGISTERED, plugin.get_library_path())
    except Exception as error:  # noqa: BLE001 - ONNX Runtime's errors have no class in common
        if "already registered" not in str(error):  # by the handlers of another archive in this process
            log.warning("OpenVINO's plugin can't be loaded: %s", error)  # models of other providers run all the same
            return []
    devices = [device for device in ort.get_ep_devices() if device.ep_name == OPENVINO]
    return [device for device in devices if device.ep_metadata.get("ov_device") == "CPU"]


def provider_specs(provider: Provider, cache: Path) -> list[Any]:
    """Return ONNX Runtime's argument `providers` for the CPU or a GPU; TensorRT keeps its engines in `cache`.

    The CPU is never listed behind a GPU, since ONNX Runtime would fall back to it silently. CUDA is listed behind
    TensorRT, which leaves unsupported nodes to it.
    """
    if provider.name == CPU:
        return [CPU]
    cuda = (CUDA, cuda_options(provider.device_id, provider.gpu))
    if provider.name == CUDA:
        return [cuda]
    options = tensorrt_options(provider.device_id, provider.gpu, provider.variant, cache, provider.shapes)
    return [(TENSORRT, options), cuda]


def session_options(threads: int) -> ort.SessionOptions:
    """Return options with a bounded thread pool that doesn't spin: spinning takes CPU quota from other workers."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry("session.record_ep_graph_assignment_info", "1")
    options.add_session_config_entry("optimization.disable_specified_optimizers", SLOWER)
    options.log_severity_level = LOG_FATAL  # the log of a failed run quotes values, and its exception says enough
    return options


class Session:
    """A loaded graph; `run` takes and returns arrays by name, and dimension 0 is the batch."""

    def __init__(self, model: Path | bytes, provider: Provider, threads: int, largest: int = 1) -> None:
        if provider.on_gpu:
            ort.set_default_logger_severity(LOG_ERRORS)
            ort.preload_dlls()  # CUDA's libraries may be in site-packages, where the system's loader doesn't look
        source, options = model if isinstance(model, bytes) else str(model), session_options(threads)
        engines = Path(tempfile.gettempdir()) / "onnxserve-engines"
        on_openvino = provider.name == OPENVINO
        spec = add_openvino(options, threads) if on_openvino else provider_specs(provider, engines)
        try:
            self._session = ort.InferenceSession(source, options, providers=spec)
        except Exception as error:
            if provider.gpu.graph and "graph capture" in str(error):
                reason = "handler.gpu.graph: nodes are left to the CPU, so nothing can be recorded; set it to false"
                raise ProviderRefused(reason) from error
            raise
        active = self._session.get_providers()
        if not active or active[0] != provider.name:
            raise ProviderRefused(f"{provider.name} was asked for, but the session runs on {active}")
        self.provider = provider
        self.threads = threads
        self.outputs = [output.name for output in self._session.get_outputs()]
        if on_openvino and not self.placement().get(OPENVINO):
            raise ProviderRefused(f"OpenVINO runs none of the graph's nodes, {self.placement()}; use provider 'cpu'")
        self._fixed_batch = self._fix_batch(largest) if provider.on_gpu else None

    def _fix_batch(self, largest: int) -> FixedBatch | None:
        if has_fixed_shapes([*self._session.get_inputs(), *self._session.get_outputs()]):
            return FixedBatch(self._session, "cuda", self.provider.device_id, largest, graph=self.provider.gpu.graph)
        if self.provider.gpu.graph:
            raise ProviderRefused("handler.gpu.graph needs shapes that are fixed beside the batch; set it to false")
        return None

    def warm(self, arrays: Arrays) -> None:
        """Run before the first request, so that no request waits while kernels are chosen, built and recorded."""
        if self.provider.name != CPU:
            for _ in range(WARM_RUNS):
                self.run(arrays)

    def placement(self) -> dict[str, int]:
        """Return how many nodes each provider runs: others leave nodes without a kernel to the CPU's."""
        nodes = Counter[str]()
        for part in self._session.get_provider_graph_assignment_info():
            nodes[part.ep_name] += len(part.get_nodes())
        return dict(nodes)

    def run(self, arrays: Arrays) -> dict[str, npt.NDArray[Any]]:
        """Return outputs by name, shapes (rows, ...).

        On a GPU, inputs are copied to it once, and outputs are bound to host memory.
        """
        if self._fixed_batch is not None:
            return self._fixed_batch.run(arrays)
        if self.provider.on_gpu:
            return self.run_bound(arrays, "cuda", self.provider.device_id)
        results = self._session.run(self.outputs, dict(arrays))
        return dict(zip(self.outputs, results, strict=True))

    def run_bound(self, arrays: Arrays, device: str, device_id: int) -> dict[str, npt.NDArray[Any]]:
        """Run through an IO binding whose inputs are on `device`, and return outputs by name."""
        binding = self._session.io_binding()
        for name, array in arrays.items():
            value = ort.OrtValue.ortvalue_from_numpy(np.ascontiguousarray(array), device, device_id)
            binding.bind_ortvalue_input(name, value)
        for name in self.outputs:
            binding.bind_output(name, "cpu")
        self._session.run_with_iobinding(binding)
        return dict(zip(self.outputs, binding.copy_outputs_to_cpu(), strict=True))


CGROUP = Path("/sys/fs/cgroup")


def cgroup_cpus(root: Path = CGROUP) -> float | None:
    """Return how many CPUs the container may use (cgroup v2 `cpu.max`, then v1), None without a limit."""
    try:
        quota, period = (root / "cpu.max").read_text().split()
    except (OSError, ValueError):
        try:
            quota = (root / "cpu" / "cpu.cfs_quota_us").read_text().strip()
            period = (root / "cpu" / "cpu.cfs_period_us").read_text().strip()
        except OSError:
            return None
    if quota in ("max", "-1"):
        return None
    return int(quota) / int(period)


def usable_cpus(root: Path = CGROUP) -> int:
    """Return how many whole CPUs this process may use, by its affinity and its quota, at least 1."""
    affinity = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = cgroup_cpus(root)
    return max(1, affinity if quota is None else min(affinity, int(quota)))


def intra_op_threads(workers: int, configured: int = 0, root: Path = CGROUP) -> int:
    """Return how many threads one of `workers` workers uses: `configured` if it is above 0, else its share."""
    return configured if configured > 0 else max(1, usable_cpus(root) // max(1, workers))
