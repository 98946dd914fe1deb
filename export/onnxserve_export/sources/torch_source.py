"""What all sources that torch runs share: outputs of any structure by name, and times on a number of threads."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch

from onnxserve_export.arrays import Arrays

from .module_outputs import named_tensors, to_arrays
from .source import SourceModel, match_inputs, output_names


class TorchSource(SourceModel):
    """A source whose answers torch computes; `outputs` choose among what it returns, the main one first."""

    name = "torch"

    def __init__(self, outputs: Sequence[str]) -> None:
        self.outputs = outputs

    @abstractmethod
    def call(self, tensors: dict[str, torch.Tensor]) -> Any:
        """Return what the model returns for tensors by its own names, in its own order."""

    def answer(self, arrays: Arrays) -> Arrays:
        """Return every output for one batch by name, the main one first."""
        tensors = named_tensors(self._call(arrays, match_inputs(self, arrays)), self.outputs)
        return dict(zip(output_names(tensors, arrays), to_arrays(tensors).values(), strict=True))

    def runner(self, threads: int) -> Callable[[Arrays], Any]:
        """Return a function that only runs a batch."""
        matched: dict[str, str] = {}

        def run(arrays: Arrays) -> Any:
            if not matched:
                matched.update(match_inputs(self, arrays))
            before = torch.get_num_threads()
            torch.set_num_threads(threads)
            try:
                return self._call(arrays, matched)
            finally:
                torch.set_num_threads(before)

        return run

    def output_names(self, arrays: Arrays, chosen: Iterable[str] = ()) -> list[str]:
        """Return the names of what the model returns for a batch, or of those that are `chosen`."""
        return list(named_tensors(self._call(arrays, match_inputs(self, arrays)), tuple(chosen)))

    def _call(self, arrays: Arrays, matched: dict[str, str]) -> Any:
        with torch.inference_mode():
            return self.call({own: torch.from_numpy(arrays[name]) for name, own in matched.items()})
