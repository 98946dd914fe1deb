"""rows -> tensors -> outputs: which rows run together, and their outputs in the rows' order."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from .outputs import Array, FreeAxis, Outputs, concatenate, left_align, with_masks, with_sizes
from .runtime.batching import buckets, chunks, distinct
from .runtime.session import Session
from .tasks import Hooks
from .telemetry.recorder import Recorder


class Inference(Hooks):
    """The model between checked rows and outputs."""

    session: Session  # the session of ONNX Runtime, with the graph
    recorder: Recorder | None = None  # what records metrics, drift and the prediction log
    output_axes: tuple[FreeAxis, ...] = ()  # free axes of the graph's outputs, beside the batch
    deduplicate = True  # whether equal rows run once; off in measurements, where few rows stand for many

    def outputs(self, values: Sequence[Any]) -> Array:
        """Return the first output for some instances, shape (rows, ...)."""
        return self.every_output(values)[self.session.outputs[0]]

    def every_output(self, values: Sequence[Any]) -> Outputs:
        """Return all outputs for some instances."""
        return self.infer([self.check(value, f"instances[{i}]") for i, value in enumerate(values)])

    def infer(self, rows: Sequence[Any]) -> Outputs:
        """Return every output for checked rows."""
        sizes = self.sizes(rows) if self.output_axes else {}
        parts = chunks(len(rows), 1) if self._has_unknown_size(sizes) else self.parts(rows)
        if len(parts) == 1 and isinstance(parts[0], range):
            outputs = self._run_rows(rows)
            return self._join([outputs], parts, sizes) if self.output_axes else Outputs(outputs)
        return self._join([self._run_rows([rows[index] for index in part]) for part in parts], parts, sizes)

    def infer_tensors(self, tensors: dict[str, Array]) -> Outputs:
        """Return every output for rows that a client sent as the graph's inputs, where it put them."""
        sizes = self.tensor_sizes(tensors) if self.output_axes else {}
        size = 1 if self._has_unknown_size(sizes) else self.signature.max_batch
        parts = chunks(len(next(iter(tensors.values()))), size)
        outputs = [self.run({name: array[part.start : part.stop] for name, array in tensors.items()}) for part in parts]
        joined = self._join(outputs, parts, sizes)
        return with_masks(joined, self.tensor_masks(tensors)) if self.output_axes else joined

    def _run_rows(self, rows: Sequence[Any]) -> dict[str, Array]:
        """Return every output for rows that run together, each row's own elements before those of its padding."""
        outputs = self.run(self.tensors(rows))
        return (
            left_align(outputs, self.output_axes, self.sizes(rows)) if self.pads_left and self.output_axes else outputs
        )

    def _has_unknown_size(self, sizes: Mapping[str, Sequence[int]]) -> bool:
        """Return whether rows must run alone: only the graph knows how long a row's output is, say how many boxes."""
        return any(axis.name not in sizes for axis in self.output_axes)

    def _join(
        self, outputs: Sequence[dict[str, Array]], parts: Sequence[Sequence[int]], sizes: Mapping[str, Sequence[int]]
    ) -> Outputs:
        """Return the outputs of parts of rows in the order of the rows."""
        arrays = concatenate(outputs, self.output_axes)
        if not isinstance(parts[0], range):
            order = np.argsort(np.concatenate([np.asarray(part) for part in parts]))
            arrays = {name: array[order] for name, array in arrays.items()}
        if not self.output_axes:
            return Outputs(arrays)
        known = {
            name: sizes.get(name) or [part[output].shape[axis] for part in outputs]
            for output, axis, name in self.output_axes
        }
        return with_sizes(arrays, self.output_axes, known)

    def resize(self, batch: int) -> None:
        """Let `batch` rows run together instead of the signature's `max_batch`."""
        self.signature = replace(self.signature, max_batch=batch)

    def parts(self, rows: Sequence[Any]) -> Sequence[Sequence[int]]:
        """Return which rows run together: at most `max_batch`, of similar length and of one batch key."""
        size, keys = self.signature.max_batch, self.batch_keys(rows)
        if keys is not None:
            return group_by_key(keys, size)
        lengths = self.lengths(rows)
        return chunks(len(rows), size) if lengths is None else buckets(lengths, size)

    def run(self, tensors: dict[str, Array]) -> dict[str, Array]:
        """Return every output for one batch; identical rows are computed once."""
        unique, inverse = distinct(tensors) if self.deduplicate else (tensors, None)
        if self.recorder is not None:
            self.recorder.clock.lap("preprocess")
        outputs = self.session.run(unique)
        if self.recorder is not None:
            self.recorder.clock.lap("inference")
        return outputs if inverse is None else {name: array[inverse] for name, array in outputs.items()}


def group_by_key(keys: Sequence[Hashable], size: int) -> list[list[int]]:
    """Return groups of at most `size` indices with one key each."""
    groups: dict[Hashable, list[int]] = {}
    for index, key in enumerate(keys):
        groups.setdefault(key, []).append(index)
    return [[group[index] for index in part] for group in groups.values() for part in chunks(len(group), size)]
