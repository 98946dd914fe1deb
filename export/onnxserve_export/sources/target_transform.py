"""A TransformedTargetRegressor of scikit-learn: a regressor, and nodes that turn its values back.

The transformer has the targets' values in the fit; its inverse has the regressor's in a prediction:
https://scikit-learn.org/stable/modules/generated/sklearn.compose.TransformedTargetRegressor.html
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import onnx

from onnxserve_export.arrays import Array

from .functions import FUNCTIONS
from .model_parts import TARGET, steps_of

Step = tuple[str, float | Array | None]  # an operator, and its second operand
FIX = "use StandardScaler, MinMaxScaler, or a func and inverse_func of numpy such as np.log1p and np.expm1"


def without_target(model: Any) -> tuple[Any, Any]:
    """Return a model that ends in the regressor itself, and the transformer of its target; None without one."""
    if type(model).__name__ == TARGET:
        return model.regressor_, model.transformer_
    if not hasattr(model, "steps") or type(model.steps[-1][1]).__name__ != TARGET:
        return model, None
    model = copy.copy(model)
    *before, (name, last) = model.steps
    model.steps = [*before, (name, last.regressor_)]
    return model, last.transformer_


def target_fault(model: Any) -> Iterator[tuple[str, str]]:
    """Yield why no graph turns a model's values back, and the way out."""
    _, transformer = without_target(model)
    if transformer is not None and inverse_of(transformer) is None:
        function = getattr(transformer, "inverse_func", None)
        name = getattr(function, "__name__", type(function).__name__) if function else type(transformer).__name__
        yield f"{TARGET} turns values back by {name}, which no graph has", FIX


def inverse_of(transformer: Any) -> Sequence[Step] | None:
    """Return the nodes that turn values back; None for a transformer whose inverse no graph has."""
    match type(steps_of(transformer)[-1]).__name__:
        case "FunctionTransformer":
            function = transformer.inverse_func
            if function is None:
                return ()
            is_numpy = isinstance(function, np.ufunc) and not transformer.inv_kw_args
            return FUNCTIONS.get(function.__name__) if is_numpy else None
        case "StandardScaler" if not hasattr(transformer, "steps"):
            scale = [] if transformer.scale_ is None else [("Mul", transformer.scale_)]
            return scale + ([("Add", transformer.mean_)] if transformer.with_mean else [])
        case "MinMaxScaler" if not hasattr(transformer, "steps"):
            return [("Sub", transformer.min_), ("Div", transformer.scale_)]
    return None


def turn_back(proto: onnx.ModelProto, transformer: Any) -> None:
    """Append the nodes that turn the values of a graph's last output back."""
    nodes = inverse_of(transformer) if transformer is not None else ()
    output = proto.graph.output[-1]
    kind = output.type.tensor_type.elem_type
    for number, (operation, operand) in enumerate(nodes or ()):
        operands, target = [output.name], f"turned_back_{number}"
        if operand is not None:
            operands.append(f"operand_of_{target}")
            array = np.asarray(operand, onnx.helper.tensor_dtype_to_np_dtype(kind))
            proto.graph.initializer.append(onnx.numpy_helper.from_array(array, operands[1]))
        proto.graph.node.append(onnx.helper.make_node(operation, operands, [target]))
        output.name = target
