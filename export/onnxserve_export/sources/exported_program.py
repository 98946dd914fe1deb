"""A `.pt2` file, which torch.export.save wrote: the program's own answers are the reference."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import onnx
import torch
from torch.utils._pytree import tree_unflatten

from onnxserve.errors import DefinitionError
from onnxserve_export.arrays import Arrays, Axes
from onnxserve_export.records import Range

from .graph_edit import keep_outputs
from .source import InputSpec, match_inputs, output_names
from .torch_graph import convert, name_nodes, ranges, silence
from .torch_source import TorchSource
from .untrusted import TORCH, UntrustedFile


def open_exported(path: Path, outputs: Sequence[str] = (), *, trust: bool = False) -> ExportedSource:
    """Return the program of a file; DefinitionError if it can't be read, or isn't trusted.

    torch unpickles parts of such a file, and runs guards and shapes that it has as Python (`torch.export.load`:
    "Never load data from an untrusted source").
    """
    if not trust:
        raise UntrustedFile(
            f"{path.name} is an exported program: reading it runs whatever code its pickles and guards name",
            where=str(path),
            fix="--trust, if you made it yourself; or export the module to .onnx, which needs no trust",
            hidden=TORCH,
        )
    silence()
    try:
        program = torch.export.load(path)
    except Exception as error:
        raise DefinitionError(
            f"{path.name} can't be read as an exported program: {error}",
            where=str(path),
            fix=f"write it with torch.export.save, by torch {torch.__version__} or an earlier one",
        ) from error
    return ExportedSource(program, outputs)


class ExportedSource(TorchSource):
    """A `torch.export.ExportedProgram`; its free axes are those with which it was exported."""

    free_axis_fix = (
        "the program was exported with that size: export it again with dynamic_shapes={…: {0: torch.export.Dim.AUTO}}"
    )

    def __init__(self, program: torch.export.ExportedProgram, outputs: Sequence[str] = ()) -> None:
        super().__init__(outputs)
        self.program = program
        self._module = program.module()
        placeholders = {node.name: node for node in program.graph.nodes if node.op == "placeholder"}
        self.inputs = tuple(
            _spec(placeholders[name]) for name in program.graph_signature.user_inputs if isinstance(name, str)
        )
        shapes = [placeholders[spec.name].meta["val"].shape for spec in self.inputs]
        sizes = {shape[0] if isinstance(shape[0], int) else 0 for shape in shapes if len(shape)}
        self.stated_rows = sizes.pop() if len(sizes) == 1 else 0
        self.summary = f"exported program, {sum(value.numel() for value in program.parameters()):,} parameters"

    def call(self, tensors: dict[str, torch.Tensor]) -> Any:
        """Run the program with arguments of the structure, and with the constants, that it was exported with."""
        leaves = [tensors[leaf] if isinstance(leaf, str) else leaf for leaf in self.program.graph_signature.user_inputs]
        arguments, keywords = tree_unflatten(leaves, self.program.call_spec.in_spec)
        try:
            return self._module(*arguments, **keywords)
        except (RuntimeError, AssertionError) as error:
            shapes = ", ".join(f"{name} {tuple(tensor.shape)}" for name, tensor in tensors.items())
            raise DefinitionError(
                f"the exported program refuses {shapes}: {str(error).splitlines()[0]}", fix=self.free_axis_fix
            ) from error

    def graph(self, example: Arrays, axes: Axes) -> tuple[onnx.ModelProto, list[Range]]:  # noqa: ARG002 - a hook
        """Convert the program as it is; outputs that aren't served are dropped."""
        matched = match_inputs(self, example)
        proto = convert(self.program, matched, output_names(self.output_names(example), example)).model_proto
        if self.outputs:
            keep_outputs(proto.graph, output_names(self.outputs, example))
        name_nodes(proto)
        return proto, ranges(self.program, {own: name for name, own in matched.items()})


def _spec(node: torch.fx.Node) -> InputSpec:
    value = node.meta["val"]
    shape = tuple(size if isinstance(size, int) else str(size) for size in value.shape)
    return InputSpec(
        node.name, dtype=str(value.dtype).removeprefix("torch."), shape=("batch", *shape[1:]) if shape else ()
    )
