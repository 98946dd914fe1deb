"""tensors -> outputs: one ONNX Runtime session on the provider that was asked for, or none."""

from __future__ import annotations

import os
import tempfile
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime as ort

from .gpu import Gpu, Options, Padded, cuda_options, fixed, tensorrt_options

CPU = "CPUExecutionProvider"
CUDA = "CUDAExecutionProvider"
TENSORRT = "TensorrtExecutionProvider"
ERROR = 3  # ONNX Runtime's level
WARM_RUNS = 3  # a recording is made by the second and replayed by the third
NAMES = {"cuda": CUDA, "tensorrt": TENSORRT}
Arrays = Mapping[str, npt.NDArray[Any]]


class ProviderRefused(RuntimeError):
    """The execution provider that was asked for is not active; the worker must not load."""


@dataclass(frozen=True)
class Provider:
    """The execution provider to ask for, why, and how it may use its GPU."""

    name: str
    device_id: int = 0
    reason: str = ""
    gpu: Gpu = field(default_factory=Gpu)
    variant: str = ""
    shapes: Options = field(default_factory=dict)  # for TensorRT's engine


def choose_provider(asked: str, gpu_id: int | None, available: list[str]) -> Provider:
    """`cpu`, `cuda`, `tensorrt`, or `auto`: CUDA where TorchServe gave the worker a GPU and this build can use it."""
    if asked == "cpu":
        return Provider(CPU, reason="asked for")
    if asked in NAMES:
        if NAMES[asked] not in available:
            raise ProviderRefused(
                f"provider {asked!r} was asked for, but this onnxruntime has {available}; "
                "install onnxruntime-gpu or set handler.provider to 'cpu'"
            )
        return Provider(NAMES[asked], gpu_id or 0, "asked for")
    if asked != "auto":
        raise ProviderRefused(f"handler.provider is {asked!r}; use 'auto', 'cpu', 'cuda' or 'tensorrt'")
    if gpu_id is None:
        return Provider(CPU, reason="auto: TorchServe gave this worker no GPU")
    if CUDA not in available:
        return Provider(CPU, reason="auto: this onnxruntime has no CUDA; install onnxruntime-gpu to use the GPU")
    return Provider(CUDA, gpu_id, "auto: TorchServe gave this worker a GPU")


def provider_specs(provider: Provider, cache: Path) -> list[Any]:
    """What ONNX Runtime is given; engines that TensorRT builds are kept in `cache`.

    Never CPU behind a GPU: ONNX Runtime would fall back to it without a word. CUDA stands behind TensorRT,
    which leaves to it the nodes that it can't take.
    """
    if provider.name == CPU:
        return [CPU]
    cuda = (CUDA, cuda_options(provider.device_id, provider.gpu))
    if provider.name == CUDA:
        return [cuda]
    options = tensorrt_options(provider.device_id, provider.gpu, provider.variant, cache, provider.shapes)
    return [(TENSORRT, options), cuda]


def session_options(threads: int) -> ort.SessionOptions:
    """No spinning (it steals the quota of neighbours) and a bounded thread pool."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry("session.record_ep_graph_assignment_info", "1")
    options.log_severity_level = 4  # a failed run's message quotes values; what it raises says the rest
    return options


class Session:
    """A loaded graph. `run` takes and gives arrays by name; dimension 0 is the batch."""

    def __init__(self, model: Path | bytes, provider: Provider, threads: int, largest: int = 1) -> None:
        spec = provider_specs(provider, Path(tempfile.gettempdir()) / "onnxserve-engines")
        if provider.name != CPU:
            ort.set_default_logger_severity(ERROR)
            ort.preload_dlls()  # CUDA's libraries may be in site-packages, where the loader doesn't look
        source = model if isinstance(model, bytes) else str(model)
        try:
            self._session = ort.InferenceSession(source, session_options(threads), providers=spec)
        except Exception as error:
            if provider.gpu.graph and "graph capture" in str(error):
                what = "handler.gpu.graph: nodes are left to the CPU, so nothing can be recorded; set it to false"
                raise ProviderRefused(what) from error
            raise
        active = self._session.get_providers()
        if not active or active[0] != provider.name:
            raise ProviderRefused(f"{provider.name} was asked for, but the session runs on {active}")
        self.provider = provider
        self.threads = threads
        self.outputs = [output.name for output in self._session.get_outputs()]
        self._padded = self._pad(largest) if provider.name != CPU else None

    def _pad(self, largest: int) -> Padded | None:
        if fixed([*self._session.get_inputs(), *self._session.get_outputs()]):
            return Padded(self._session, "cuda", self.provider.device_id, largest, graph=self.provider.gpu.graph)
        if self.provider.gpu.graph:
            raise ProviderRefused("handler.gpu.graph needs shapes that are fixed beside the batch; set it to false")
        return None

    def warm(self, arrays: Arrays) -> None:
        """Run before requests come, so that none waits for kernels to be chosen, built and recorded."""
        if self.provider.name != CPU:
            for _ in range(WARM_RUNS):
                self.run(arrays)

    def placement(self) -> dict[str, int]:
        """Nodes by the provider that runs them: a GPU leaves to the CPU those that it has no kernel for."""
        found = Counter[str]()
        for part in self._session.get_provider_graph_assignment_info():
            found[part.ep_name] += len(part.get_nodes())
        return dict(found)

    def run(self, arrays: Arrays) -> dict[str, npt.NDArray[Any]]:
        """Outputs by name. On CUDA, inputs are copied once and outputs bound to host memory."""
        if self._padded is not None:
            return self._padded.run(arrays)
        if self.provider.name != CPU:
            return self.run_bound(arrays, "cuda", self.provider.device_id)
        results = self._session.run(self.outputs, dict(arrays))
        return dict(zip(self.outputs, results, strict=True))

    def run_bound(self, arrays: Arrays, device: str, device_id: int) -> dict[str, npt.NDArray[Any]]:
        """Run through an IO binding whose inputs live on `device`."""
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
    """CPUs that the container may use (cgroup v2 `cpu.max`, then v1), None when unlimited."""
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
    """Whole CPUs for this process: the smaller of its affinity and its quota, at least 1."""
    affinity = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = cgroup_cpus(root)
    return max(1, affinity if quota is None else min(affinity, int(quota)))


def intra_op_threads(workers: int, asked: int = 0, root: Path = CGROUP) -> int:
    """Threads for one of `workers` workers; `asked` > 0 overrides."""
    return asked if asked > 0 else max(1, usable_cpus(root) // max(1, workers))
