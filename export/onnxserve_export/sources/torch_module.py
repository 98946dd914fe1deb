"""A torch module: its own answers are the reference, torch.export makes its graph."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import onnx
import torch

from onnxserve.errors import CheckFailed, DefinitionError
from onnxserve_export.arrays import Arrays, Axes
from onnxserve_export.divergence import first_divergence
from onnxserve_export.records import Range

from .recurrent import as_operators, projected, unrolled
from .source import InputSpec, match_inputs
from .torch_graph import export_graph
from .torch_source import TorchSource

PLAIN = (bool, int, float, str)


class TorchModule(TorchSource):
    """A `torch.nn.Module` on the CPU in evaluation mode."""

    def __init__(self, module: torch.nn.Module, outputs: Sequence[str] = ()) -> None:
        super().__init__(outputs)
        self.module = module.eval().requires_grad_(requires_grad=False).to("cpu")
        self.inputs = forward_inputs(module)
        _check_dtypes(module)
        parameters = sum(parameter.numel() for parameter in module.parameters())
        self.free_axis_fix = axis_fix(module)
        self.summary = f"{type(module).__name__}, {parameters:,} parameters"

    def call(self, tensors: dict[str, torch.Tensor]) -> Any:
        """Return what `forward` returns."""
        return self.module(**tensors)

    def graph(self, example: Arrays, axes: Axes) -> tuple[onnx.ModelProto, list[Range]]:
        """Trace the module; nodes are named after its inner modules."""
        names = self.output_names(example, self.outputs)
        if paths := projected(self.module):
            what = f"{', '.join(paths)} has a proj_size, which an LSTM of ONNX has none of"
            raise CheckFailed("trace", what, "a graph", fix="train one without it, with a torch.nn.Linear behind it")
        try:
            matched, free_batch = match_inputs(self, example), not self.runs_alone
            with as_operators():
                return export_graph(self.module, matched, example, axes, names, free_batch=free_batch)
        except CheckFailed as error:
            if unrolled(self.module) and any(axes.values()):
                fix, where = self.free_axis_fix, error.where
                raise CheckFailed(error.step, error.measured, error.allowed, fix=fix, where=where) from error
            raise

    def state(self) -> Mapping[str, Any]:
        """Return copies of the buffers and of the plain attributes of all inner modules."""
        kept: dict[str, Any] = {name: _copy(buffer) for name, buffer in self.module.named_buffers()}
        for path, part in self.module.named_modules():
            kept |= {
                f"{path}.{name}".lstrip("."): _copy(value)
                for name, value in vars(part).items()
                if isinstance(value, (*PLAIN, torch.Tensor))
            }
        return kept

    def first_divergence(self, graph: Path, arrays: Arrays) -> str:
        """Name the first inner module whose output the graph doesn't reproduce."""
        arguments = {own: torch.from_numpy(arrays[name]) for name, own in match_inputs(self, arrays).items()}
        divergence = first_divergence(self.module, arguments, graph, arrays)
        return str(divergence or "every inner module that can be compared agrees")


def _copy(value: Any) -> Any:
    return value.numpy(force=True).copy() if isinstance(value, torch.Tensor) else value


def forward_inputs(module: torch.nn.Module) -> tuple[InputSpec, ...]:
    """Return the parameters of `forward`; nothing where it takes any by name."""
    parameters = inspect.signature(module.forward).parameters.values()
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
        return ()
    kinds = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    return tuple(InputSpec(p.name, p.default is p.empty) for p in parameters if p.kind in kinds)


def axis_fix(module: torch.nn.Module) -> str:
    """Return how to free an axis that is fixed."""
    if names := unrolled(module):
        return f"torch's exporter writes each time step of {', '.join(names)} out: use torch.nn.LSTM or torch.nn.GRU"
    return "the module branches on x.shape, or bakes a size in: write it without"


def _check_dtypes(module: torch.nn.Module) -> None:
    tensors = [*module.named_parameters(), *module.named_buffers()]
    halves = [(name, tensor) for name, tensor in tensors if tensor.dtype is torch.bfloat16]
    if halves:
        raise DefinitionError(
            f"{len(halves)} of the module's tensors are bfloat16, which neither numpy nor ONNX Runtime computes on a "
            "CPU",
            where=halves[0][0],
            fix="return module.float(): every bfloat16 number is a float32 number, so nothing is lost",
        )
