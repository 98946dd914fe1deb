"""Step trace: make the source's fp32 graph, with free axes, the handler's names, and a name for each node."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from types import MappingProxyType

import onnx

from onnxserve.errors import CheckFailed

from .arrays import Arrays, Axes
from .batches import Batches
from .export_state import ExportState
from .graph_file import graph_bytes, save_graph
from .preprocess import first_batches
from .records import Range
from .sources.graph_edit import add_batch_axis
from .step import Step

NO_SIZES: Mapping[str, int] = MappingProxyType({})


def example(shapes: dict[str, Batches]) -> Arrays:
    """Return a batch of 3 rows: tracing with 1 would bake the batch size in. Where rows run alone, it has one row."""
    by_size = {name.partition(",")[0]: name for name in shapes if name.endswith("long rows")}
    name = by_size.get("batch 3", by_size["batch 1"])
    return first_batches({name: shapes[name]})[name]


def check_declared(shapes: dict[str, Batches], axes: Axes) -> None:
    """Raise CheckFailed if the tensors' sizes vary along an axis that the handler doesn't declare free."""
    batches = [group.first_batch() for group in shapes.values()]
    for name, array in batches[0].items():
        for axis in range(1, array.ndim):
            sizes = {batch[name].shape[axis] for batch in batches}
            if len(sizes) > 1 and axis not in axes.get(name, {}):
                raise CheckFailed(
                    "trace",
                    f"the handler's tensor {name} is {min(sizes)} to {max(sizes)} long on axis {axis}, which it "
                    "declares fixed",
                    "one size",
                    fix=f'declare the axis in the handler: dynamic_axes = {{"{name}": {{{axis}: "length"}}}}, '
                    "or pad every row to one size",
                )


def check_ranges(
    axis_ranges: list[Range],
    axes: Axes,
    batch: int,
    limits: Mapping[str, int],
    fix: str,
    least: Mapping[str, int] = NO_SIZES,
) -> list[Range]:
    """Return the free axes' ranges; CheckFailed if one doesn't reach from the least to the most of the signature.

    `fix` says how the source's maker frees an axis.
    """
    free = [
        axis_range
        for axis_range in axis_ranges
        if axis_range.axis == 0 or axis_range.axis in axes.get(axis_range.input, {})
    ]
    for axis_range in free:
        name = axes.get(axis_range.input, {}).get(axis_range.axis, "")
        largest, smallest = (batch, 1) if axis_range.axis == 0 else (limits[name], least.get(name, 1))
        # torch.export may state 2 for what it only assumes not to be 0 or 1; `verify` runs batches of 1.
        too_large = axis_range.upper is not None and axis_range.upper < largest
        if axis_range.lower > max(2, smallest) or too_large:
            refuse = f"refuse shorter sounds: input.min_seconds = {axis_range.lower} / input.sample_rate; or else "
            refuses = name in least and not too_large
            raise CheckFailed(
                "trace",
                f"axis {axis_range.axis} of {axis_range.input} holds from {axis_range.lower} to {axis_range.upper} "
                "only",
                f"{smallest} to {largest}",
                fix=refuse * refuses + fix,
            )
    return free


def name_unnamed(proto: onnx.ModelProto) -> None:
    """Name nodes without a name, or with that of an earlier node, `<operator>_<n>`."""
    known = {node.name for node in proto.graph.node}
    seen: set[str] = set()
    counts: Counter[str] = Counter()
    for node in proto.graph.node:
        name = node.name
        while not name or name in seen or (name != node.name and name in known):
            name = f"graph/{node.op_type}_{counts[node.op_type]}"
            counts[node.op_type] += 1
        node.name = name
        seen.add(name)


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


def name_axes(proto: onnx.ModelProto, inputs: Arrays, outputs: Arrays, axes: Axes, output_axes: Axes) -> None:
    """Call the free axes by the handler's names, and give fixed ones the sizes of the example.

    An axis of an output that the exporter knows to be that of an input has its name, even if it never varied.
    """
    known: dict[str, str] = {}
    for value in proto.graph.input:
        dims = value.type.tensor_type.shape.dim
        for index, (dim, size) in enumerate(zip(dims, inputs[value.name].shape, strict=True)):
            name = "batch" if index == 0 else axes.get(value.name, {}).get(index)
            if name and dim.dim_param:
                known[dim.dim_param] = name
            _set(dim, name, size)
    for value in proto.graph.output:
        shape, array = value.type.tensor_type.shape, outputs[value.name]
        symbols = [dim.dim_param for dim in shape.dim] or [""] * array.ndim
        del shape.dim[:]
        for index, (symbol, size) in enumerate(zip(symbols, array.shape, strict=True)):
            measured = output_axes.get(value.name, {}).get(index)
            _set(shape.dim.add(), "batch" if index == 0 else known.get(symbol) or measured, size)


def _set(dim: onnx.TensorShapeProto.Dimension, name: str | None, size: int) -> None:
    if name:
        dim.dim_param = name
    else:
        dim.dim_value = size


def call(state: ExportState) -> None:
    """Make the graph, name nodes and axes, strip paths, and write it."""
    check_declared(state.groups.shapes, state.axes)
    batch, spec = example(state.groups.shapes), state.definition
    proto, axis_ranges = state.model.graph(batch, state.axes)
    add_batch_axis(proto.graph, state.model.unbatched)
    state.ranges = check_ranges(
        axis_ranges, state.axes, spec.serve.batch_size, state.limits, state.model.free_axis_fix, state.least
    )
    name_unnamed(proto)
    strip(proto)
    # Inner shapes carry the exporter's own axis names; ONNX Runtime infers them anew.
    del proto.graph.value_info[:]
    name_axes(proto, batch, state.model.run(batch), state.axes, state.output_axes)
    state.fp32 = state.scratch / "fp32.onnx"
    save_graph(proto, state.fp32)
    onnx.checker.check_model(str(state.fp32))
    state.say(f"      {len(proto.graph.node)} nodes, {graph_bytes(state.fp32) / 1e6:.1f} MB")


STEP = Step("trace", ("model", "groups", "axes", "limits", "least", "output_axes"), ("fp32", "ranges"), call)
