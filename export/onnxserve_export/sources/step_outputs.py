"""Outputs of scikit-learn's regressors that skl2onnx writes otherwise than the library gives them.

It leaves out the exponential of counts and sizes (https://scikit-learn.org/stable/modules/ensemble.html, `poisson`,
`gamma`), and puts the values of several targets below each other.
"""

from __future__ import annotations

import copy
from functools import partial
from typing import Any

import numpy as np
from onnx import TensorProto

LOGARITHMIC = ("poisson", "gamma")  # losses of histogram-based trees whose sums are logarithms
STACKED = ("MLPRegressor", "BaggingRegressor")


def is_mended(step: Any) -> bool:
    """Return whether skl2onnx writes a step's outputs otherwise than they are."""
    name = type(step).__name__
    is_logarithm = name == "HistGradientBoostingRegressor" and step.loss in LOGARITHMIC
    return is_logarithm or (name in STACKED and count_targets(step) > 1)


def count_targets(step: Any) -> int:
    """Return how many values a regressor gives a row."""
    return int(np.size(step.predict(np.zeros((1, step.n_features_in_)))))


def mend_outputs(step: Any) -> None:
    """Let a copied step give its outputs as the library does."""
    targets = count_targets(step) if type(step).__name__ in STACKED else 1
    step.onnx_converter = lambda: partial(_convert, targets)
    step.onnx_shape_calculator = lambda: partial(_state_output, targets)


def _state_output(targets: int, operator: Any) -> None:
    from skl2onnx.common._registration import get_shape_calculator

    get_shape_calculator(operator.type)(operator)
    [output] = operator.outputs
    output.type.shape = [output.type.shape[0], targets]


def _convert(targets: int, scope: Any, operator: Any, container: Any) -> None:
    """Write a step as skl2onnx does, and what is lacking behind its output."""
    from skl2onnx.common._registration import get_converter

    [output] = operator.outputs
    values, step = scope.declare_local_variable("values", copy.copy(output.type)), copy.copy(operator)
    step.outputs = [values]
    get_converter(operator.type)(scope, step, container)
    if targets == 1:
        container.add_node("Exp", [values.full_name], [output.full_name])
        return
    shape = scope.get_unique_variable_name("shape")
    container.add_initializer(shape, TensorProto.INT64, [2], [-1, targets])
    container.add_node("Reshape", [values.full_name, shape], [output.full_name])
