"""The model that an export starts from: its answers are the reference, and its fp32 graph is what variants start from.

A new source is one module with a class of this kind, and its line in `opening`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import onnx

from onnxserve.errors import DefinitionError
from onnxserve_export.arrays import Arrays, Axes
from onnxserve_export.records import Range

MASK = "attention_mask"


@dataclass(frozen=True)
class InputSpec:
    """One input that a source takes; dtype and shape stay empty where the source doesn't state them.

    An axis is a size, or a text where it is free.
    """

    name: str
    required: bool = True
    dtype: str = ""
    shape: tuple[int | str, ...] | None = None


class SourceModel(Protocol):
    """A model in the form in which its maker has it."""

    name: str
    """What gives the reference, as messages and tables call it: `torch`, `onnxruntime`, `scikit-learn`."""
    summary: str
    """What was opened, in one line."""
    inputs: Sequence[InputSpec]
    """The inputs it takes, in its own order; empty where it takes any by name."""
    free_axis_fix: str
    """How its maker frees an axis that is fixed."""
    stated_rows: int = 0
    """The number of rows of every batch, where its maker fixed it; 0 for any, or where it isn't stated."""
    scales_by_batch: bool = False
    """Whether its 8-bit scales are of all numbers of a batch, so that rows change each other's answers."""
    random_nodes: Sequence[str] = ()
    """The nodes that draw random numbers, where its maker's form shows them."""
    runs_alone: bool = False
    """Whether every row is served alone, so that the graph need not hold for more."""
    unbatched: Collection[str] = frozenset()
    """The outputs that have no axis for the batch, of a model that takes one row at a time."""

    def answer(self, arrays: Arrays) -> Arrays:
        """Return every output for one batch by name as the model gives it; `arrays` have the handler's names."""
        ...

    def run(self, arrays: Arrays) -> Arrays:
        """Return every output for one batch by name, the main one first, each with the batch as its first axis.

        DefinitionError if an output isn't a tensor with a row for each row of the batch.
        """
        outputs = self.answer(arrays)
        batched = {name: array[None] if name in self.unbatched else array for name, array in outputs.items()}
        return check_rows(batched, len(next(iter(arrays.values()))), self.name)

    def runner(self, threads: int) -> Callable[[Arrays], Any]:
        """Return a function that only runs a batch on so many threads, for timing."""
        ...

    def graph(self, example: Arrays, axes: Axes) -> tuple[onnx.ModelProto, list[Range]]:
        """Return the fp32 graph, and the sizes that it allows for the axes of its inputs.

        Its inputs have the names, types and order of the handler's tensors in `example`, a batch of 3 rows; its outputs
        have the names and order that `run` gives. `axes` are the free axes beside the batch. CheckFailed if there is no
        such graph.
        """
        ...

    def state(self) -> Mapping[str, Any]:
        """Return what the model remembers between calls, by name, to find out whether a call changes it."""
        return {}

    def first_divergence(self, graph: Path, arrays: Arrays) -> str:  # noqa: ARG002 - a hook
        """Describe the first part of the model that a graph doesn't reproduce on a batch; empty where none is known."""
        return ""


def match_inputs(source: SourceModel, arrays: Arrays) -> dict[str, str]:
    """Return the source's input for each of the handler's tensors, by name, in the source's order.

    Where both have one input, alone or beside a mask, their names may differ. DefinitionError lists every other
    difference of names, and of ranks, sizes and types where the source states them.
    """
    known = {spec.name: spec for spec in source.inputs}
    required = [spec.name for spec in source.inputs if spec.required]
    if not known:
        return {name: name for name in arrays}
    mains = [name for name in arrays if name != MASK]
    own_mains = [name for name in required or known if name != MASK]
    masks_fit = (MASK not in arrays or MASK in known) and (MASK in arrays or MASK not in required)
    if len(mains) == len(own_mains) == 1 and mains[0] not in known and masks_fit:
        names = {own: mains[0] if own == own_mains[0] else own for own in known}
        matched = {name: own for own, name in names.items() if name in arrays}
    else:
        _check_names(source, list(arrays), list(known), required)
        matched = {name: name for name in known if name in arrays}
    faults = [fault for name, own in matched.items() if (fault := _shape_fault(name, arrays[name], known[own]))]
    if faults:
        raise DefinitionError(
            f"the handler's tensors don't fit the model: {'; '.join(faults)}",
            fix="compare [input] in model.toml with what the model was made for",
        )
    return matched


def _check_names(source: SourceModel, offered: list[str], known: list[str], required: list[str]) -> None:
    missing = [name for name in required if name not in offered]
    unknown = [name for name in offered if name not in known]
    parts = [f"the model wants {missing}, which the handler doesn't give"] if missing else []
    parts += [f"the handler gives {unknown}, which the model doesn't take"] if unknown else []
    if parts:
        raise DefinitionError(
            f"{' and '.join(parts)}: the model takes {known}, the handler gives {offered}",
            fix=f"choose the [input] that the {source.name} model was made for, or name its inputs after the tensors",
        )


def _shape_fault(name: str, array: Any, spec: InputSpec) -> str:
    if spec.shape is not None:
        sizes = list(zip(array.shape, spec.shape, strict=False))[1:]
        if array.ndim != len(spec.shape) or any(isinstance(own, int) and size != own for size, own in sizes):
            expected = ", ".join(map(str, spec.shape))
            return f"{name} has shape {tuple(array.shape)}, ({expected}) is expected"
    if spec.dtype and not np.can_cast(array.dtype, np.dtype(spec.dtype), "same_kind"):
        return f"{name} is {array.dtype.name}, {spec.dtype} is expected"
    return ""


def output_names(names: Iterable[str], arrays: Arrays) -> list[str]:
    """Return names for outputs; one that is also a tensor of the handler gets `_output` behind it."""
    return [f"{name}_output" if name in arrays else name for name in names]


def check_rows(outputs: Arrays, rows: int, source: str) -> Arrays:
    """Return outputs that have one row for each of the batch's `rows`; DefinitionError names one that hasn't."""
    for name, array in outputs.items():
        if not array.ndim or len(array) != rows:
            raise DefinitionError(
                f"output {name} of the {source} model has shape {tuple(array.shape)} for {rows} rows; "
                "(rows, ...) is expected",
                fix="let every output have the batch as its first axis, or list those to serve as `source_outputs` in "
                f"model.toml{'; or, if the model takes one row at a time, set [serve] batch_size = 1' * (rows > 1)}",
            )
    return outputs
