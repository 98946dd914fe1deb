"""Runs on a GPU at one batch size, where shapes are fixed beside the batch.

Libraries choose and build the kernels of a convolution for its shape, and keep those of the last shape only: batches of
changing sizes would cost tenths of a second each. The same kernels for all also keep a row's answer from moving with
how many others there are. They can be recorded and replayed, where inputs and outputs keep their addresses and
`gpu_graph_id` names the recording ("CUDA Graphs" in
https://onnxruntime.ai/docs/execution-providers/CUDA-ExecutionProvider.html).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime as ort

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
