"""A TorchScript file: torch.jit's answers are the reference, torch's TorchScript exporter makes its graph."""

from __future__ import annotations

import io
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import onnx
import torch

from onnxserve.errors import CheckFailed
from onnxserve_export.arrays import Arrays, Axes
from onnxserve_export.records import Range

from .graph_edit import keep_outputs
from .module_outputs import named_tensors
from .source import InputSpec, match_inputs, output_names
from .torch_graph import OPSET
from .torch_source import TorchSource
from .untrusted import TORCH, UntrustedFile


def open_torchscript(path: Path, outputs: Sequence[str] = (), *, trust: bool = False) -> TorchSource:
    """Return the module of a file; DefinitionError if it isn't TorchScript, nor a pickled module that is trusted."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            module = torch.jit.load(str(path), map_location="cpu")  # type: ignore[no-untyped-call]
    except RuntimeError as error:
        if trust:
            from .pickled_module import open_pickled

            return open_pickled(path, outputs)
        raise UntrustedFile(
            f"{path.name} is not TorchScript",
            where=str(path),
            fix="--trust, if it is a whole module that you pickled yourself: reading it runs whatever code it names. A "
            "state dict isn't a model: write a function that builds the module and loads the weights with "
            "torch.load(…, weights_only=True), and name that as the source: model.py:load",
            hidden=TORCH,
        ) from error
    return ScriptSource(module, outputs)


class FlatOutputs(torch.nn.Module):
    """A module that gives the tensors of another one as a tuple."""

    def __init__(self, module: torch.jit.ScriptModule) -> None:
        super().__init__()
        self.module = module

    def forward(self, *arguments: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Return the tensors in the order of their names."""
        return tuple(named_tensors(self.module(*arguments)).values())


def flat(module: torch.jit.ScriptModule, arguments: tuple[torch.Tensor, ...]) -> torch.jit.ScriptModule:
    """Return a module that gives a tuple in place of a mapping, which no graph has; scripted parts stay scripted."""
    with torch.inference_mode():
        if not isinstance(module(*arguments), Mapping):
            return module
    traced: torch.jit.ScriptModule = torch.jit.trace(  # type: ignore[no-untyped-call]
        FlatOutputs(module), arguments, check_trace=False
    )
    return traced


class ScriptSource(TorchSource):
    """A scripted or traced module. A traced one may have sizes baked in, which the step verify finds."""

    free_axis_fix = "tracing baked a size in: script the module, or give the module itself with source = model.py:load"

    def __init__(self, module: torch.jit.ScriptModule, outputs: Sequence[str] = ()) -> None:
        super().__init__(outputs)
        self.module = module.eval().to("cpu")
        forward: Any = self.module.forward
        parameters = forward.schema.arguments[1:]  # the first is self
        self.inputs = tuple(InputSpec(parameter.name, not parameter.has_default_value()) for parameter in parameters)
        weights = sum(parameter.numel() for parameter in module.parameters())
        self.summary = f"TorchScript {module.original_name}, {weights:,} parameters"

    def call(self, tensors: dict[str, torch.Tensor]) -> Any:
        """Return what `forward` returns."""
        return self.module(*tensors.values())

    def graph(self, example: Arrays, axes: Axes) -> tuple[onnx.ModelProto, list[Range]]:
        """Convert the module; torch's newer exporter takes no TorchScript, so the older one does it."""
        matched = match_inputs(self, example)
        names, outputs = list(matched), output_names(self.output_names(example), example)
        free = {name: {0: "batch"} | axes.get(name, {}) for name in names} | {name: {0: "batch"} for name in outputs}
        arguments = tuple(torch.from_numpy(example[name]) for name in names)
        buffer: Any = io.BytesIO()
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                torch.onnx.export(
                    flat(self.module, arguments),
                    arguments,
                    buffer,
                    dynamo=False,
                    opset_version=OPSET,
                    input_names=names,
                    output_names=outputs,
                    dynamic_axes=free,
                )
        except (RuntimeError, torch.onnx.OnnxExporterError) as error:
            raise CheckFailed(
                "trace",
                f"torch can't export the TorchScript module: {(str(error).strip().splitlines() or ['no message'])[0]}",
                "a graph",
                fix="give the module itself with source = model.py:load, whose exporter knows more operators",
            ) from error
        proto = onnx.load_from_string(buffer.getvalue())
        if self.outputs:
            keep_outputs(proto.graph, output_names(self.outputs, example))
        for node in proto.graph.node:  # `/layers/layers.0/Gemm`: the path of the module, and the operator
            node.name = node.name.lstrip("/")
        return proto, [
            Range(name, axis, 0, None) if axis in free[name] else Range(name, axis, size, size)
            for name, array in ((name, example[name]) for name in names)
            for axis, size in enumerate(array.shape)
        ]
