"""Promotion of float32 to float64 where a node gets both, in graphs whose tables are in float64.

Converters of some steps write constants or parts in float32 whatever they get, which ONNX refuses beside float64.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any

import onnx
from onnx import TensorProto, defs, helper, shape_inference

FLOAT, DOUBLE = TensorProto.FLOAT, TensorProto.DOUBLE
CHECK = "_update_contraints"  # of skl2onnx: raises for a node of several types, and gives the unknown ones theirs
Types = dict[str, onnx.TypeProto]


@contextlib.contextmanager
def mixed_types() -> Iterator[None]:
    """Let skl2onnx write nodes that get both float32 and float64 meanwhile; it takes their outputs for float64."""
    from skl2onnx.algebra.graph_state import GraphState
    from skl2onnx.common.data_types import DoubleTensorType, FloatTensorType

    check = vars(GraphState)[CHECK]

    def promoted(variable: Any) -> Any:
        is_float = isinstance(getattr(variable, "type", None), FloatTensorType)
        return (variable.onnx_name, DoubleTensorType(variable.type.shape)) if is_float else variable

    def lenient(outputs: Any, expected: Any, inputs: Any, *others: Any, **named: Any) -> None:
        try:
            check.__func__(outputs, expected, inputs, *others, **named)
        except RuntimeError:
            check.__func__(outputs, expected, [*map(promoted, inputs)], *others, **named)

    setattr(GraphState, CHECK, staticmethod(lenient))
    try:
        yield
    finally:
        setattr(GraphState, CHECK, check)


def promote(proto: onnx.ModelProto) -> Mapping[str, int]:
    """Cast float32 to float64 where a node gets both; return the element types of all values by name."""
    graph = proto.graph
    types: Types = {value.name: value.type for value in graph.input}
    types |= {tensor.name: helper.make_tensor_type_proto(tensor.data_type, tensor.dims) for tensor in graph.initializer}
    nodes = list[onnx.NodeProto]()
    for node in graph.node:
        for part in (*_casts(node, _schema(node, proto), types), node):
            nodes.append(part)
            types |= _outputs(part, types, proto)
    copies = [onnx.NodeProto.FromString(node.SerializeToString()) for node in nodes]
    del graph.node[:]
    graph.node.extend(copies)
    return {name: kind.tensor_type.elem_type for name, kind in types.items()}


def _schema(node: onnx.NodeProto, proto: onnx.ModelProto) -> defs.OpSchema:
    version = next(opset.version for opset in proto.opset_import if opset.domain == node.domain)
    return defs.get_schema(node.op_type, version, node.domain)


def _casts(node: onnx.NodeProto, schema: defs.OpSchema, types: Types) -> Iterator[onnx.NodeProto]:
    """Yield the casts that a node needs before it, and let it read them."""
    groups = dict[str, dict[int, int]]()  # element types by place, by the name of the type that they share
    for place, name in enumerate(node.input):
        shared = schema.inputs[min(place, len(schema.inputs) - 1)].type_str
        if name in types:
            groups.setdefault(shared, {})[place] = types[name].tensor_type.elem_type
    for kinds in groups.values():
        if {FLOAT, DOUBLE} <= {*kinds.values()}:
            for place in (place for place, kind in kinds.items() if kind == FLOAT):
                name, node.input[place] = node.input[place], f"{node.output[0]}_{place}_in_double"
                yield helper.make_node("Cast", [name], [node.input[place]], to=DOUBLE)


def _outputs(node: onnx.NodeProto, types: Types, proto: onnx.ModelProto) -> Types:
    """Return the types of a node's outputs."""
    own = {name: types[name] for name in node.input if name in types}
    schema = _schema(node, proto)
    return dict(shape_inference.infer_node_outputs(schema, node, own, opset_imports=[*proto.opset_import]))
