"""Functions of numpy in a FunctionTransformer of scikit-learn, which skl2onnx doesn't convert, as nodes of a graph."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import partial
from types import SimpleNamespace
from typing import Any

import numpy as np
from onnx import TensorProto

from onnxserve.errors import DefinitionError

from .model_parts import parts

OPERATOR = "SklearnFunctionTransformer"  # skl2onnx's name of it
Node = tuple[str, float | None]  # an operator, and its second operand
FUNCTIONS: Mapping[str, Sequence[Node]] = {
    "absolute": [("Abs", None)],
    "exp": [("Exp", None)],
    "expm1": [("Exp", None), ("Sub", 1.0)],
    "log": [("Log", None)],
    "log10": [("Log", None), ("Div", math.log(10))],
    "log1p": [("Add", 1.0), ("Log", None)],
    "log2": [("Log", None), ("Div", math.log(2))],
    "negative": [("Neg", None)],
    "reciprocal": [("Reciprocal", None)],
    "sign": [("Sign", None)],
    "sqrt": [("Sqrt", None)],
    "square": [("Pow", 2.0)],
    "tanh": [("Tanh", None)],
}
SMALLEST = float(np.finfo(np.float32).tiny)
# The least number of which each gives a number.
DOMAINS = {"log": SMALLEST, "log10": SMALLEST, "log1p": -1 + 2.0**-24, "log2": SMALLEST, "sqrt": 0.0}


def check_functions(model: Any) -> None:
    """Raise DefinitionError for a step that calls a function which no graph has."""
    for step in (model, *parts(model)):
        if is_function(step) and step.func is not None and not nodes_of(step):
            name = getattr(step.func, "__name__", type(step.func).__name__)
            raise DefinitionError(
                f"a FunctionTransformer calls {name}, which is code: no graph has it",
                fix="fit the model to a column that has its result, or use a function of numpy without kw_args: "
                + ", ".join(FUNCTIONS),
            )


def is_function(step: Any) -> bool:
    """Return whether a step calls a function."""
    return type(step).__name__ == "FunctionTransformer"


def nodes_of(step: Any) -> Sequence[Node]:
    """Return the nodes for a step's function; none for another than those above."""
    is_numpy = isinstance(step.func, np.ufunc) and not step.kw_args
    return FUNCTIONS.get(step.func.__name__, ()) if is_numpy else ()


def least_number(step: Any) -> float | None:
    """Return the least number of which a step's function gives a number; None where it takes any."""
    return DOMAINS.get(step.func.__name__) if is_function(step) and step.func is not None else None


def write_function(step: Any) -> None:
    """Let a copied step become the nodes of its function; it computes no longer itself."""
    if nodes := nodes_of(step):
        step.func = None  # skl2onnx joins the columns then, and states their shape
        step.onnx_converter = lambda: partial(_convert, nodes)


def _convert(nodes: Sequence[Node], scope: Any, operator: Any, container: Any) -> None:
    """Write the nodes behind those that join the columns, as a converter of skl2onnx does."""
    from skl2onnx.common._registration import get_converter

    [output] = operator.outputs
    names = [scope.get_unique_variable_name("part") for _ in nodes]
    joined = SimpleNamespace(
        raw_operator=operator.raw_operator,
        inputs=operator.inputs,
        outputs=[SimpleNamespace(full_name=names[0])],
    )
    get_converter(OPERATOR)(scope, joined, container)
    kind = TensorProto.DOUBLE if type(output.type).__name__ == "DoubleTensorType" else TensorProto.FLOAT
    for (operation, operand), source, target in zip(nodes, names, [*names[1:], output.full_name], strict=True):
        operands = [source]
        if operand is not None:
            operands.append(scope.get_unique_variable_name("operand"))
            container.add_initializer(operands[1], kind, [], [operand])
        container.add_node(operation, operands, target)
