"""Changes to a ready graph that leave its answers: names of inputs, a free batch, and outputs that a tensor holds."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence

import numpy as np
import onnx
from onnx import TensorProto, helper

from onnxserve.errors import DefinitionError


def without_initialisers(graph: onnx.GraphProto) -> list[onnx.ValueInfoProto]:
    """Return the inputs that must be given: before IR version 4, weights were listed as inputs too."""
    weights = {tensor.name for tensor in graph.initializer}
    return [value for value in graph.input if value.name not in weights]


def drop_zip_maps(graph: onnx.GraphProto) -> None:
    """Let scores leave as a tensor: converters of scikit-learn end in ZipMap, which makes a dictionary of each row."""
    for node in [node for node in graph.node if node.op_type == "ZipMap"]:
        name = node.output[0]
        for output in graph.output:
            if output.name == name:
                output.CopyFrom(helper.make_tensor_value_info(name, TensorProto.FLOAT, None))
        graph.node.remove(node)
        if any(output.name == node.input[0] for output in graph.output):
            graph.node.append(helper.make_node("Identity", [node.input[0]], [name]))
        else:
            rename(graph, node.input[0], name)


def lift_constants(graph: onnx.GraphProto) -> None:
    """Make initialisers of the nodes that give a constant tensor: quantisers look for weights nowhere else."""
    outputs = {output.name for output in graph.output}
    tensors = {
        node.output[0]: attribute.t
        for node in graph.node
        if node.op_type == "Constant" and node.output[0] not in outputs
        for attribute in node.attribute
        if attribute.name == "value"
    }
    for name, tensor in tensors.items():
        initialiser = graph.initializer.add()
        initialiser.CopyFrom(tensor)
        initialiser.name = name
    kept = [node for node in graph.node if node.output[0] not in tensors]
    del graph.node[:]
    graph.node.extend(kept)


EMPTY, WHOLE = "the graph has no outputs, so the file is empty or no model", "give the whole file"


def keep_outputs(graph: onnx.GraphProto, names: Sequence[str]) -> None:
    """Keep the outputs `names` in this order, or all that are tensors of numbers; nodes behind others go.

    DefinitionError for a name that isn't there or isn't a tensor of numbers, and where no output is left.
    """
    outputs = {output.name: output for output in graph.output}
    numeric = [name for name, output in outputs.items() if is_numeric(output)]
    if wrong := [name for name in names if name not in numeric]:
        raise DefinitionError(
            f"the graph gives no tensor of numbers {wrong}",
            where="source_outputs",
            fix=f"it gives {numeric}: correct the names",
        )
    kept = [outputs[name] for name in names or numeric]
    if not kept:
        what = f"none of the graph's outputs {', '.join(outputs)} is a tensor of numbers" if outputs else EMPTY
        raise DefinitionError(what, fix="export the model again with an output of numbers" if outputs else WHOLE)
    copies = [onnx.ValueInfoProto.FromString(output.SerializeToString()) for output in kept]
    del graph.output[:]
    graph.output.extend(copies)
    _drop_dead_nodes(graph)


def is_numeric(output: onnx.ValueInfoProto) -> bool:
    """Return whether an output is a tensor of numbers, not of texts, a sequence or a map."""
    if output.type.WhichOneof("value") not in ("tensor_type", None):
        return False
    return output.type.tensor_type.elem_type != TensorProto.STRING


def _drop_dead_nodes(graph: onnx.GraphProto) -> None:
    used = {output.name for output in graph.output}
    for node in reversed(list(graph.node)):
        if used.isdisjoint(node.output):
            graph.node.remove(node)
        else:
            used.update(_reads(node))


def _reads(node: onnx.NodeProto) -> Iterator[str]:
    """Yield the values that a node reads, those of its inner graphs included."""
    yield from node.input
    for attribute in node.attribute:
        for inner in (attribute.g, *attribute.graphs):
            for inner_node in inner.node:
                yield from _reads(inner_node)
            yield from (output.name for output in inner.output)


def free_batch(graph: onnx.GraphProto) -> None:
    """Free the first axis of the inputs and outputs; whether the nodes between them hold it, runs will show.

    Other axes with a size below 1, which some exporters write for an unknown one, become free too.
    """
    for value in (*without_initialisers(graph), *graph.output):
        for axis, dim in enumerate(value.type.tensor_type.shape.dim):
            if dim.HasField("dim_value") and (axis == 0 or dim.dim_value < 1):
                dim.dim_param = "batch" if axis == 0 else f"{value.name}_{axis}"
    del graph.value_info[:]  # inner shapes that state the old batch


def fixed_batch(graph: onnx.GraphProto) -> int:
    """Return the size of the inputs' first axis, if all state the same; else 0."""
    sizes = {value.type.tensor_type.shape.dim[0].dim_value for value in without_initialisers(graph) if _has_axes(value)}
    return sizes.pop() if len(sizes) == 1 else 0


def _has_axes(value: onnx.ValueInfoProto) -> bool:
    return len(value.type.tensor_type.shape.dim) > 0


def drop_batch_axis(graph: onnx.GraphProto, names: Collection[str]) -> None:
    """Give each input `names`, which has none, a first axis for the batch; the graph holds for one row."""
    axes = "batch_axis"
    for value in [value for value in graph.input if value.name in names]:
        name, inner = value.name, f"{value.name}_of_row"
        rename(graph, name, inner)
        graph.node.insert(0, helper.make_node("Squeeze", [name, axes], [inner], name=f"graph/Squeeze_{name}"))
        sizes = [
            onnx.TensorShapeProto.Dimension.FromString(dim.SerializeToString())
            for dim in value.type.tensor_type.shape.dim
        ]
        value.name = name
        del value.type.tensor_type.shape.dim[:]
        value.type.tensor_type.shape.dim.add().dim_param = "batch"
        value.type.tensor_type.shape.dim.extend(sizes)
    if names:
        graph.initializer.append(helper.make_tensor(axes, TensorProto.INT64, [1], [0]))


def add_batch_axis(graph: onnx.GraphProto, names: Collection[str]) -> None:
    """Give each output `names`, which has none, a first axis of size 1 for the batch."""
    axes = "first_axis"
    for value in [value for value in graph.output if value.name in names]:
        name, inner = value.name, f"{value.name}_of_row"
        rename(graph, name, inner)
        graph.node.append(helper.make_node("Unsqueeze", [inner, axes], [name], name=f"graph/Unsqueeze_{name}"))
        value.name = name
        value.type.tensor_type.ClearField("shape")
    if names:
        graph.initializer.append(helper.make_tensor(axes, TensorProto.INT64, [1], [0]))


def feed(graph: onnx.GraphProto, tensors: Mapping[str, tuple[str, np.dtype[np.generic]]]) -> None:
    """Let each input be fed by a tensor of the handler's name and type, through a Cast where the types differ.

    `tensors` has name and dtype by the input's own name. Inputs get the order of `tensors`.
    """
    inputs = {value.name: value for value in graph.input}
    first_nodes = []
    new_inputs = []
    for own, (name, dtype) in tensors.items():
        value = onnx.ValueInfoProto.FromString(inputs[own].SerializeToString())
        kind = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
        if name != own:
            rename(graph, name, f"{name}_inner")
        if kind != value.type.tensor_type.elem_type:
            inner = own if name != own else f"{own}_cast"
            rename(graph, own, inner)
            to = value.type.tensor_type.elem_type
            first_nodes.append(helper.make_node("Cast", [name], [inner], name=f"graph/Cast_{name}", to=to))
            value.type.tensor_type.elem_type = kind
        else:
            rename(graph, own, name)
        value.name = name
        new_inputs.append(value)
    nodes = [*first_nodes, *(onnx.NodeProto.FromString(node.SerializeToString()) for node in graph.node)]
    del graph.node[:]
    graph.node.extend(nodes)
    del graph.input[:]
    graph.input.extend(new_inputs)


def rename(graph: onnx.GraphProto, old: str, new: str) -> None:
    """Give a value another name wherever nodes, inner graphs, outputs or weights use it."""
    if old == new:
        return
    for node in graph.node:
        for names in (node.input, node.output):
            for place, name in enumerate(names):
                if name == old:
                    names[place] = new
        for attribute in node.attribute:
            for inner in (attribute.g, *attribute.graphs):
                rename(inner, old, new)
    for tensor in (*graph.initializer, *graph.output):
        if tensor.name == old:
            tensor.name = new
