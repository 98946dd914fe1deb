"""Runs on a GPU at few batch sizes, where shapes are fixed beside the batch: each size costs its first run much.

Libraries choose and build kernels for a shape when they see it, which takes up to seconds for convolutions; and the
kernels of a size can be recorded and replayed, where inputs and outputs keep their addresses and `gpu_graph_id` names
the recording ("CUDA Graphs" in https://onnxruntime.ai/docs/execution-providers/CUDA-ExecutionProvider.html).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime as ort

from .gpu import Gpu

TYPES: dict[str, Any] = {"tensor(float)": np.float32, "tensor(float16)": np.float16, "tensor(int64)": np.int64}
TYPES |= {"tensor(int32)": np.int32, "tensor(uint8)": np.uint8, "tensor(int8)": np.int8, "tensor(bool)": np.bool_}
Arrays = Mapping[str, npt.NDArray[Any]]


@dataclass(frozen=True)
class Slot:
    """Memory of one batch size, bound once."""

    binding: Any
    options: Any
    inputs: dict[str, Any]
    outputs: dict[str, Any]
    host: dict[str, npt.NDArray[Any]]


def fixed(tensors: Sequence[Any]) -> bool:
    """Whether only the batch is free."""
    return all(tensor.type in TYPES and all(isinstance(size, int) for size in tensor.shape[1:]) for tensor in tensors)


class Padded:
    """A session's runs at the next power of two, or all at `largest`; rows beyond those asked for repeat the first.

    With one size for all a row's answer can't move with how many others there are: the same kernels compute it.
    """

    def __init__(self, session: Any, device: str, device_id: int, gpu: Gpu, largest: int) -> None:
        self._session, self._device, self._gpu, self._largest = session, (device, device_id), gpu, largest
        self._slots: dict[int, Slot] = {}

    def size(self, rows: int) -> int:
        """The batch size that so many rows run at."""
        return max(rows, self._largest) if self._gpu.one_size else 1 << max(0, rows - 1).bit_length()

    def sizes(self) -> list[int]:
        """Those that batches of up to `largest` rows run at, the largest first."""
        return sorted({self.size(rows) for rows in range(1, self._largest + 1)}, reverse=True)

    def run(self, arrays: Arrays) -> dict[str, npt.NDArray[Any]]:
        """Outputs by name, for arrays whose dimension 0 is the batch."""
        rows = len(next(iter(arrays.values())))
        size = self.size(rows)
        if size not in self._slots:
            self._slots[size] = self._slot(size)
        slot = self._slots[size]
        for name, value in slot.inputs.items():
            host, given = slot.host[name], arrays[name]
            host[:rows] = given
            host[rows:] = given[:1]
            value.update_inplace(host)
        self._session.run_with_iobinding(slot.binding, slot.options)
        return {name: value.numpy()[:rows].copy() for name, value in slot.outputs.items()}

    def _slot(self, size: int) -> Slot:
        binding, options = self._session.io_binding(), ort.RunOptions()
        if self._gpu.graph:
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
