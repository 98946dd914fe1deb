"""A session's kernels recorded once for each batch size, and replayed, where shapes are fixed beside the batch.

https://onnxruntime.ai/docs/execution-providers/CUDA-ExecutionProvider.html, "CUDA Graphs": inputs and outputs keep
their addresses, and `gpu_graph_id` names a recording.
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
    """Memory of one batch size, bound once."""

    binding: Any
    options: Any
    inputs: dict[str, Any]
    outputs: dict[str, Any]
    host: dict[str, npt.NDArray[Any]]


def fixed(tensors: Sequence[Any]) -> bool:
    """Whether only the batch is free."""
    return all(tensor.type in TYPES and all(isinstance(size, int) for size in tensor.shape[1:]) for tensor in tensors)


def padded_size(rows: int) -> int:
    """The batch size that `rows` run at: the next power of two, so that there are few recordings."""
    return 1 << max(0, rows - 1).bit_length()


class Captured:
    """Runs at padded batch sizes; rows beyond those that were asked for repeat the first and are cut off again."""

    def __init__(self, session: Any, device: str, device_id: int) -> None:
        self._session, self._device = session, (device, device_id)
        self._slots: dict[int, Slot] = {}

    def run(self, arrays: Arrays) -> dict[str, npt.NDArray[Any]]:
        """Outputs by name, for arrays whose dimension 0 is the batch."""
        rows = len(next(iter(arrays.values())))
        size = padded_size(rows)
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
