"""Converters of scikit-learn, XGBoost and LightGBM models to ONNX, with thresholds as exact as the model's own.

ONNX Runtime's trees compare numbers in float32 with thresholds in float32. For a number in float32, `x <= t` holds just
when x is at most the largest float32 that is no larger than t. So thresholds are rounded down, never to the nearest:
otherwise a row next to a threshold goes the other way. Numbers in float64 are compared with thresholds in float64.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import onnx

from onnxserve_export.arrays import Arrays

from .convertible import convertible
from .model_parts import parts, steps_of
from .target_transform import turn_back, without_target
from .vectorisers import word_options

OPSET = {"": 20, "ai.onnx.ml": 3}
BOOSTERS_OPSET = 15  # the newest that onnxmltools writes
THRESHOLDS, DECISIONS = "threshold=", "decision_type="
MODE = 5  # the place of a node's kind among the arguments of `add_node`, before its threshold
MISSING = "nodes_missing_value_tracks_true"
ROUNDS = "adjust_threshold_for_sklearn"  # an argument of `add_node`
TREES = ("TreeEnsembleClassifier", "TreeEnsembleRegressor")
LEQ = "BRANCH_LEQ"
WEIGHTS = ("nodes_hitrates", "class_weights", "target_weights", "base_values")
CATEGORICAL = 1  # the bit of a decision type of LightGBM that means a set of categories


def convert(model: Any, library: str, tensors: Arrays) -> onnx.ModelProto:
    """Return the graph of a fitted model for a batch's tensors; its last output has the answers.

    A table in float64 is compared with thresholds in float64, where the library does that too: XGBoost, and all trees
    of scikit-learn but histogram-based ones, round to float32 themselves.
    """
    if library == "scikit-learn":
        return convert_sklearn(model, tensors)
    from onnxmltools import convert_lightgbm, convert_xgboost
    from onnxmltools.convert.common.data_types import FloatTensorType

    [table] = tensors.values()
    types = [("X", FloatTensorType([None, table.shape[1]]))]
    if library == "xgboost":
        with without_names(model):
            graph: onnx.ModelProto = convert_xgboost(model, initial_types=types, target_opset=BOOSTERS_OPSET)
        return graph
    booster, is_double = getattr(model, "booster_", model), table.dtype == np.float64
    exact, thresholds = numbered_booster(booster) if is_double else (rounded_booster(booster), [])
    proto: onnx.ModelProto = convert_lightgbm(exact, initial_types=types, target_opset=BOOSTERS_OPSET, zipmap=False)
    if is_double:
        compare_in_double(proto, thresholds)
    return proto


@contextlib.contextmanager
def without_names(model: Any) -> Iterator[None]:
    """Let a model of XGBoost have no names and types of columns meanwhile: the converter knows `f0`, `f1`, … alone."""
    booster = model.get_booster() if hasattr(model, "get_booster") else model
    names, types = booster.feature_names, booster.feature_types
    booster.feature_names = booster.feature_types = None
    try:
        yield
    finally:
        booster.feature_names, booster.feature_types = names, types


def convert_sklearn(model: Any, tensors: Arrays) -> onnx.ModelProto:
    """Convert a model or pipeline of scikit-learn; several tensors are the columns of a data frame."""
    import skl2onnx
    from skl2onnx.common import data_types, tree_ensemble

    check_categories(model)
    model, target = without_target(model)
    model = convertible(model)
    kinds = {
        "U": data_types.StringTensorType,
        "f": data_types.FloatTensorType,
        "float64": data_types.DoubleTensorType,
        "int64": data_types.Int64TensorType,
        "int32": data_types.Int32TensorType,
        "bool": data_types.BooleanTensorType,
    }
    types = [
        (
            name,
            (kinds.get(array.dtype.name) or kinds[array.dtype.kind])([None, array.shape[1]]),
        )
        for name, array in tensors.items()
    ]
    scores = {id(model): {"zipmap": False}} if has_zipmap(model) else {}
    is_double = any(array.dtype == np.float64 for array in tensors.values())
    thresholds: list[float] = []
    with exact_nodes(tree_ensemble, numbering(thresholds) if is_double else round_threshold):
        proto: onnx.ModelProto = skl2onnx.convert_sklearn(
            model, initial_types=types, options=scores | word_options(model), target_opset=OPSET
        )
    if is_double:
        compare_in_double(proto, thresholds)
    made_by_trees = {name for node in proto.graph.node if node.op_type in TREES for name in node.output}
    for output in proto.graph.output:
        if output.name in made_by_trees and output.type.tensor_type.elem_type == onnx.TensorProto.DOUBLE:
            output.type.tensor_type.elem_type = onnx.TensorProto.FLOAT  # of trees, whatever they compare in
    turn_back(proto, target)
    return proto


def has_zipmap(model: Any) -> bool:
    """Return whether the converter would give a model's scores as mappings; those of a mixture are a tensor."""
    return hasattr(model, "predict_proba") and not type(steps_of(model)[-1]).__name__.endswith("GaussianMixture")


def round_down(thresholds: Any) -> Any:
    """Return for each number the largest float32 that is no larger, as float64."""
    exact = np.asarray(thresholds, np.float64)
    near = exact.astype(np.float32)
    return np.where(near > exact, np.nextafter(near, np.float32(-np.inf)), near).astype(np.float64)


def round_threshold(threshold: float) -> float:
    """Return a threshold rounded down."""
    return float(round_down(threshold))


@contextlib.contextmanager
def exact_nodes(tree_ensemble: Any, replace: Callable[[float], float]) -> Iterator[None]:
    """Let skl2onnx replace the thresholds of all trees meanwhile; by itself it rounds no histogram-based ones.

    It also writes a truth value where protobuf takes a whole number.
    """
    add_node = tree_ensemble.add_node

    def exact(attributes: Any, *arguments: Any, **named: Any) -> Any:
        place = MODE + 1
        if (mode := arguments[MODE]) != "LEAF":
            threshold = np.float64(arguments[place])  # a plain float would be compared in float32 here
            if named.get(ROUNDS):  # the trees round a number before they compare it
                threshold = tree_ensemble.sklearn_threshold(threshold, named["dtype"], mode)
                named[ROUNDS] = False
            arguments = (*arguments[:place], replace(float(threshold)), *arguments[place + 1 :])
        named[MISSING] = int(named.get(MISSING, 0))
        return add_node(attributes, *arguments, **named)

    tree_ensemble.add_node = exact
    try:
        yield
    finally:
        tree_ensemble.add_node = add_node


def check_categories(model: Any) -> None:
    """Raise ValueError for histogram-based trees that split by categories, which the converter takes for numbers."""
    if any(getattr(step, "is_categorical_", None) is not None for step in (model, *parts(model))):
        raise ValueError("histogram-based trees that split by categories aren't known to the converter")


def rounded_booster(booster: Any) -> Any:
    """Return a booster of LightGBM with thresholds rounded down, apart from those that number sets of categories."""
    return with_thresholds(booster, round_threshold)


def numbered_booster(booster: Any) -> tuple[Any, list[float]]:
    """Return a booster of LightGBM with 1, 2, … in place of its thresholds, and the thresholds.

    The converter writes float32, which holds these numbers but not the thresholds. Signs stay, since missing values go
    by them.
    """
    thresholds: list[float] = []
    return with_thresholds(booster, numbering(thresholds)), thresholds


def numbering(thresholds: list[float]) -> Callable[[float], float]:
    """Return a function that gives the numbers 1, 2, … in place of thresholds, and puts these into the list."""

    def number(value: float) -> float:
        thresholds.append(value)
        return float(np.copysign(len(thresholds), value)) if value else float(len(thresholds))

    return number


def with_thresholds(booster: Any, replace: Callable[[float], float]) -> Any:
    """Return a booster with other thresholds, apart from those that number sets of categories."""
    import lightgbm

    lines = booster.model_to_string().splitlines()
    for number, line in enumerate(lines):
        if line.startswith(THRESHOLDS):
            kinds = lines[number + 1].removeprefix(DECISIONS).split()
            values = line.removeprefix(THRESHOLDS).split()
            lines[number] = THRESHOLDS + " ".join(
                value if int(kind) & CATEGORICAL else repr(replace(float(value)))
                for value, kind in zip(values, kinds, strict=True)
            )
    return lightgbm.Booster(model_str=without_sizes(lines))


def compare_in_double(proto: onnx.ModelProto, thresholds: Sequence[float]) -> None:
    """Let the trees of a graph of numbered thresholds compare numbers in float64 with the thresholds themselves.

    Trees behind another step get what that gives, in float32, and have thresholds that are rounded down.
    """
    inputs = {value.name for value in proto.graph.input}
    for node in proto.graph.node:
        if node.op_type not in TREES:
            continue
        attributes = {attribute.name: attribute for attribute in node.attribute}
        modes = [mode.decode() for mode in attributes["nodes_modes"].strings]
        numbers = np.array(attributes["nodes_values"].floats)
        values = [
            thresholds[int(abs(number)) - 1] if mode == LEQ else number
            for mode, number in zip(modes, numbers, strict=True)
        ]
        if node.input[0] not in inputs:
            attributes["nodes_values"].floats[:] = [
                round_threshold(value) if mode == LEQ else value for mode, value in zip(modes, values, strict=True)
            ]
            continue
        doubles = {"nodes_values": np.array(values)} | {
            name: np.array(attributes[name].floats, np.float64) for name in WEIGHTS if name in attributes
        }
        for name, array in doubles.items():
            node.attribute.remove(attributes[name])
            tensor = onnx.numpy_helper.from_array(array, f"{name}_as_tensor")
            node.attribute.append(onnx.helper.make_attribute(f"{name}_as_tensor", tensor))
    for opset in proto.opset_import:
        if opset.domain == "ai.onnx.ml":
            opset.version = 3  # the first with trees in float64
    proto.graph.input[0].type.tensor_type.elem_type = onnx.TensorProto.DOUBLE


def without_sizes(lines: list[str]) -> str:
    """Return the text of a booster without the line that states the trees' sizes in bytes, which changed."""
    return "\n".join(line for line in lines if not line.startswith("tree_sizes=")) + "\n"
