"""Which values of a graph nodes compute from its inputs, and which of them come out otherwise than the library's."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import onnx

Makers = Mapping[str, onnx.NodeProto]  # the nodes of a graph by the names of their outputs
# Nodes that give numbers as they get them, and codes, which float32 holds.
PASSING = ("Cast", "Identity", "Gather", "ArrayFeatureExtractor", "Concat", "Reshape", "OneHotEncoder", "LabelEncoder")
# Nodes whose last bits are another library's: sums depend on their order, and functions on who wrote them. Others, such
# as Add and Div, give the number next to the true result everywhere (IEEE 754).
INEXACT: tuple[str, ...] = ("Exp", "Gemm", "Log", "MatMul", "Pow", "ReduceL1", "ReduceL2", "ReduceMean", "ReduceSum")
INEXACT += ("ReduceSumSquare", "Sigmoid", "Softmax", "Tanh")


def makers_of(graph: onnx.GraphProto) -> Makers:
    """Return the nodes of a graph by the names of their outputs."""
    return {output: node for node in graph.node for output in node.output}


def is_computed(name: str, makers: Makers) -> bool:
    """Return whether a value is computed from the graph's inputs, and not passed on."""
    return any(node.op_type not in PASSING for node in nodes_before(name, makers))


def is_inexact(name: str, makers: Makers) -> bool:
    """Return whether a value may differ in its last bits from the library's."""
    return any(node.op_type in INEXACT for node in nodes_before(name, makers))


def nodes_before(name: str, makers: Makers) -> Iterator[onnx.NodeProto]:
    """Yield the nodes that a value depends on, each once."""
    known, waiting = {name}, [name]
    while waiting:
        if (maker := makers.get(waiting.pop())) is None:
            continue
        yield maker
        waiting += {*maker.input} - known
        known.update(maker.input)
