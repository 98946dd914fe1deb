"""Step trace: export the torch module as an ONNX graph with free batch and length, and nodes named after modules."""

from __future__ import annotations

import ast
import contextlib
import io
import logging
import warnings
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import onnx
import torch

from onnxserve.errors import CheckFailed

from .arrays import Arrays
from .batches import Batches
from .export_state import ExportState
from .records import Range
from .step import Step

OUTPUT = "output_0"  # an output named like an operator makes an invalid graph
OPSET = 20
CHATTERERS = ("torch.fx", "torch.onnx", "torch.onnx._internal.exporter._registration", "onnx_ir", "onnxscript")


def example(shapes: dict[str, Batches]) -> Arrays:
    """Return a batch of 3 rows: tracing with 1 would bake the batch size in."""
    return next(batches.first_batch() for name, batches in shapes.items() if name.startswith("batch 3, long"))


def dynamic_shapes(arrays: Arrays, axes: dict[str, dict[int, str]]) -> dict[str, dict[int, object]]:
    """Return the free axes by input: always the batch, others as the handler declares."""
    free = torch.export.Dim.DYNAMIC
    return {name: {0: free, **dict.fromkeys(axes.get(name, {}), free)} for name in arrays}


def ranges(program: Any, arrays: Arrays) -> list[Range]:
    """Read the axes' ranges from the program's `range_constraints`; a size that was baked in is a range of one."""
    axis_ranges = []
    for node in program.graph.nodes:
        if node.op != "placeholder" or node.name not in arrays:
            continue
        for axis, size in enumerate(node.meta["val"].shape):
            if isinstance(size, int):
                axis_ranges.append(Range(node.name, axis, size, size))
                continue
            bounds = program.range_constraints.get(size.node.expr)
            upper = int(bounds.upper) if bounds is not None and bounds.upper.is_Integer else None
            axis_ranges.append(Range(node.name, axis, int(bounds.lower) if bounds is not None else 0, upper))
    return axis_ranges


def check_ranges(
    axis_ranges: list[Range], axes: dict[str, dict[int, str]], batch: int, limits: Mapping[str, int]
) -> list[Range]:
    """Return the free axes' ranges; CheckFailed if one doesn't reach from 1 to what the signature allows."""
    free = [
        axis_range
        for axis_range in axis_ranges
        if axis_range.axis == 0 or axis_range.axis in axes.get(axis_range.input, {})
    ]
    for axis_range in free:
        largest = batch if axis_range.axis == 0 else limits[axes[axis_range.input][axis_range.axis]]
        # torch.export may state 2 for what it only assumes not to be 0 or 1; `verify` runs batches of 1.
        if axis_range.lower > 2 or (axis_range.upper is not None and axis_range.upper < largest):
            raise CheckFailed(
                "trace",
                f"axis {axis_range.axis} of {axis_range.input} holds from {axis_range.lower} to {axis_range.upper} "
                "only",
                f"1 to {largest}",
                fix="the module branches on x.shape, or bakes a size in: write it without",
            )
    return free


def export_graph(
    module: torch.nn.Module, arrays: Arrays, axes: dict[str, dict[int, str]]
) -> tuple[onnx.ModelProto, list[Range]]:
    """Trace with the dynamo exporter, without its output; CheckFailed if it can't export the module."""
    kwargs = {name: torch.from_numpy(array) for name, array in arrays.items()}
    for name in CHATTERERS:
        logging.getLogger(name).setLevel(logging.ERROR)
    quiet = io.StringIO()
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(quiet), contextlib.redirect_stderr(quiet):
            warnings.simplefilter("ignore")
            program: Any = torch.onnx.export(
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
    except torch.onnx.OnnxExporterError as error:
        raise not_exportable(error) from error
    return program.model_proto, ranges(program.exported_program, arrays)


def not_exportable(error: BaseException) -> CheckFailed:
    """Return an error with the first cause in torch's chain of errors, and its place in the module."""
    while error.__cause__ is not None:
        error = error.__cause__
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    place = next((line for line in reversed(lines) if "code:" in line or line.startswith("File ")), "")
    return CheckFailed(
        "trace",
        f"torch can't export the module: {lines[0] if lines else type(error).__name__}",
        "a graph",
        fix="no branches on values, no data-dependent shapes, only operators that the exporter knows: "
        "https://docs.pytorch.org/docs/stable/export.html",
        where=place,
    )


def name_nodes(proto: onnx.ModelProto) -> None:
    """Name each node `<torch module>/<operator>_<n>`, so that reports and excludes use the model's names."""
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
    """Remove what changes the digest but not the graph, such as the absolute paths that the exporter writes."""
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
    """Check the graph and write it as one file."""
    onnx.checker.check_model(proto)
    path.write_bytes(proto.SerializeToString(deterministic=True))


def call(state: ExportState) -> None:
    """Trace the module, name nodes and axes, strip paths, and write the graph."""
    proto, axis_ranges = export_graph(state.module, example(state.groups.shapes), state.axes)
    spec = state.definition
    state.ranges = check_ranges(axis_ranges, state.axes, spec.serve.batch_size, state.limits)
    name_nodes(proto)
    strip(proto)
    # Inner shapes carry the exporter's own axis names; ONNX Runtime infers them anew.
    del proto.graph.value_info[:]
    name_axes(proto, state.axes)
    state.fp32 = state.scratch / "fp32.onnx"
    save(proto, state.fp32)
    state.say(f"      {len(proto.graph.node)} nodes, {state.fp32.stat().st_size / 1e6:.1f} MB")


STEP = Step("trace", ("module", "groups", "axes", "limits"), ("fp32", "ranges"), call)
