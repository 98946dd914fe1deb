"""Converters of scikit-learn, XGBoost and LightGBM models to ONNX, with thresholds as exact as the model's own.

ONNX Runtime's trees compare numbers in float32 with thresholds in float32. For a number in float32, `x <= t` holds just
when x is at most the largest float32 that is no larger than t. So thresholds are rounded down, never to the nearest:
otherwise a row next to a threshold goes the other way.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import onnx

OPSET = {"": 20, "ai.onnx.ml": 3}
BOOSTERS_OPSET = 15  # the newest that onnxmltools writes
THRESHOLDS, DECISIONS = "threshold=", "decision_type="
MODE = 5  # the place of a node's kind among the arguments of `add_node`, before its threshold
MISSING = "nodes_missing_value_tracks_true"
CATEGORICAL = 1  # the bit of a decision type of LightGBM that means a set of categories


def convert(model: Any, library: str, columns: int) -> onnx.ModelProto:
    """Return the graph of a fitted model for one float32 tensor (rows, columns); its last output has the answers."""
    if library == "scikit-learn":
        return convert_sklearn(model, columns)
    from onnxmltools import convert_lightgbm, convert_xgboost
    from onnxmltools.convert.common.data_types import FloatTensorType

    types = [("X", FloatTensorType([None, columns]))]
    if library == "lightgbm":
        exact = exact_booster(getattr(model, "booster_", model))
        proto: onnx.ModelProto = convert_lightgbm(exact, initial_types=types, target_opset=BOOSTERS_OPSET, zipmap=False)
    else:
        proto = convert_xgboost(model, initial_types=types, target_opset=BOOSTERS_OPSET)
    return proto


def convert_sklearn(model: Any, columns: int) -> onnx.ModelProto:
    """Convert a model or pipeline of scikit-learn."""
    import skl2onnx
    from skl2onnx.common import tree_ensemble
    from skl2onnx.common.data_types import FloatTensorType

    check_categories(model)

    options = {id(model): {"zipmap": False}} if hasattr(model, "predict_proba") else None
    types = [("X", FloatTensorType([None, columns]))]
    with exact_nodes(tree_ensemble):
        proto: onnx.ModelProto = skl2onnx.convert_sklearn(
            model, initial_types=types, options=options, target_opset=OPSET
        )
    return proto


def round_down(thresholds: Any) -> Any:
    """Return for each number the largest float32 that is no larger, as float64."""
    exact = np.asarray(thresholds, np.float64)
    near = exact.astype(np.float32)
    return np.where(near > exact, np.nextafter(near, np.float32(-np.inf)), near).astype(np.float64)


@contextlib.contextmanager
def exact_nodes(tree_ensemble: Any) -> Iterator[None]:
    """Let skl2onnx round the thresholds of all trees down meanwhile; by itself it leaves out histogram-based ones.

    It also writes a truth value where protobuf takes a whole number.
    """
    add_node = tree_ensemble.add_node

    def exact(attributes: Any, *arguments: Any, **named: Any) -> Any:
        place = MODE + 1
        if arguments[MODE] != "LEAF":
            arguments = (*arguments[:place], float(round_down(arguments[place])), *arguments[place + 1 :])
        named[MISSING] = int(named.get(MISSING, 0))
        return add_node(attributes, *arguments, **named)

    tree_ensemble.add_node = exact
    try:
        yield
    finally:
        tree_ensemble.add_node = add_node


def check_categories(model: Any) -> None:
    """Raise ValueError for histogram-based trees that split by categories, which the converter takes for numbers."""
    steps = [step for _, step in getattr(model, "steps", [("", model)])]
    if any(getattr(step, "is_categorical_", None) is not None for step in steps):
        raise ValueError("histogram-based trees that split by categories aren't known to the converter")


def exact_booster(booster: Any) -> Any:
    """Return a booster of LightGBM with thresholds rounded down, apart from those that number sets of categories."""
    import lightgbm

    lines = booster.model_to_string().splitlines()
    for number, line in enumerate(lines):
        if line.startswith(THRESHOLDS):
            kinds = lines[number + 1].removeprefix(DECISIONS).split()
            values = line.removeprefix(THRESHOLDS).split()
            lines[number] = THRESHOLDS + " ".join(
                value if int(kind) & CATEGORICAL else repr(float(round_down(float(value))))
                for value, kind in zip(values, kinds, strict=True)
            )
    return lightgbm.Booster(model_str=without_sizes(lines))


def without_sizes(lines: list[str]) -> str:
    """Return the text of a booster without the line that states the trees' sizes in bytes, which changed."""
    return "\n".join(line for line in lines if not line.startswith("tree_sizes=")) + "\n"
