"""Step trace: the torch module as an ONNX graph with free batch and length, nodes named after modules."""

from __future__ import annotations

import ast
import contextlib
import io
import logging
import warnings
from collections import Counter
from pathlib import Path

import onnx
import torch

from .step import Step
from .work import Arrays, Work

OUTPUT = "output_0"  # an output named like an operator makes an invalid graph
OPSET = 20
CHATTERERS = ("torch.onnx", "torch.onnx._internal.exporter._registration", "onnx_ir", "onnxscript")


def example(groups: dict[str, Arrays]) -> Arrays:
    """A group of 3 rows: tracing with 1 would bake the batch in."""
    return next(arrays for name, arrays in groups.items() if name.startswith("batch 3, long"))


def dynamic_shapes(arrays: Arrays, axes: dict[str, dict[int, str]]) -> dict[str, dict[int, object]]:
    """Free axes by input: the batch always, others as the handler declares."""
    free = torch.export.Dim.DYNAMIC
    return {name: {0: free, **dict.fromkeys(axes.get(name, {}), free)} for name in arrays}


def export_graph(module: torch.nn.Module, arrays: Arrays, axes: dict[str, dict[int, str]]) -> onnx.ModelProto:
    """Trace with the dynamo exporter; its chatter is dropped, its errors are not."""
    kwargs = {name: torch.from_numpy(array) for name, array in arrays.items()}
    for name in CHATTERERS:
        logging.getLogger(name).setLevel(logging.ERROR)
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            module,
            (),
            kwargs=kwargs,
            dynamo=True,
            opset_version=OPSET,
            verbose=False,
            input_names=list(arrays),
            output_names=[OUTPUT],
            dynamic_shapes=dynamic_shapes(arrays, axes),
        )
    if program is None:
        raise RuntimeError("the exporter gave no graph")
    proto = program.model_proto
    if not isinstance(proto, onnx.ModelProto):
        raise TypeError(f"the exporter gave {type(proto).__name__}")
    return proto


def name_nodes(proto: onnx.ModelProto) -> None:
    """Name each node `<torch module>/<operator>_<n>`, so that reports and excludes speak the model's words."""
    seen: Counter[str] = Counter()
    for node in proto.graph.node:
        properties = {entry.key: entry.value for entry in node.metadata_props}
        try:
            scopes = [str(scope) for scope in ast.literal_eval(properties.get("pkg.torch.onnx.name_scopes", "[]"))]
        except (ValueError, SyntaxError):
            scopes = []
        path = next((scope for scope in reversed(scopes[:-1]) if scope), "graph")
        stem = f"{path}/{node.op_type}"
        node.name = f"{stem}_{seen[stem]}"
        seen[stem] += 1


def strip(proto: onnx.ModelProto) -> None:
    """Remove what would change the digest without changing the graph: the exporter writes absolute paths."""
    graph = proto.graph
    for holder in (proto, graph, *graph.node, *graph.value_info, *graph.input, *graph.output, *graph.initializer):
        del holder.metadata_props[:]
        holder.doc_string = ""
    for function in proto.functions:
        del function.metadata_props[:]
        for node in function.node:
            del node.metadata_props[:]
            node.doc_string = ""


def name_axes(proto: onnx.ModelProto, axes: dict[str, dict[int, str]]) -> None:
    """Call the free axes by the handler's names."""
    for value in (*proto.graph.input, *proto.graph.output):
        dims = value.type.tensor_type.shape.dim
        for index, dim in enumerate(dims):
            if dim.HasField("dim_param") or not dim.HasField("dim_value"):
                dim.dim_param = "batch" if index == 0 else axes.get(value.name, {}).get(index, f"{value.name}_{index}")


def save(proto: onnx.ModelProto, path: Path) -> None:
    """Check and write as one file."""
    onnx.checker.check_model(proto)
    path.write_bytes(proto.SerializeToString(deterministic=True))


def call(work: Work) -> None:
    """Trace, name, strip, write."""
    proto = export_graph(work.module, example(work.groups.shapes), work.axes)
    name_nodes(proto)
    strip(proto)
    # Inner shapes carry the exporter's own axis names; ONNX Runtime infers them anew.
    del proto.graph.value_info[:]
    name_axes(proto, work.axes)
    work.fp32 = work.scratch / "fp32.onnx"
    save(proto, work.fp32)
    work.say(f"      {len(proto.graph.node)} nodes, {work.fp32.stat().st_size / 1e6:.1f} MB")


STEP = Step("trace", ("module", "groups", "axes"), ("fp32",), call)
