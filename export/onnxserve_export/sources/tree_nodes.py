"""Nodes of trees in a graph, with thresholds as exact as the model's own, and with the way that missing values go.

ONNX Runtime's trees compare numbers in float32 with thresholds in float32. For a number in float32, `x <= t` holds just
when x is at most the largest float32 that is no larger than t. So thresholds are rounded down, never to the nearest:
otherwise a row next to a threshold goes the other way. Numbers in float64 are compared with thresholds in float64.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import onnx

from onnxserve_export.arrays import Array

from .computed_values import is_inexact, makers_of

NODE, MODE, THRESHOLD = 3, 5, 6  # places of a node's number, kind and threshold among the arguments of `add_node`
MISSING = "nodes_missing_value_tracks_true"
ROUNDS = "adjust_threshold_for_sklearn"  # an argument of `add_node`
TREE = 1  # the place of a tree among the arguments of the function below
ADD_TREE = "add_tree_to_attribute_pairs"  # of skl2onnx, for trees that know where missing values go
TREES = ("TreeEnsembleClassifier", "TreeEnsembleRegressor")
LEQ = "BRANCH_LEQ"
WEIGHTS = ("nodes_hitrates", "class_weights", "target_weights", "base_values")
SLACK = 2.0**-40  # beside the 2**-53 that a number in float64 is exact to
DOUBLE = onnx.TensorProto.DOUBLE


def round_down(thresholds: Any) -> Any:
    """Return for each number the largest float32 that is no larger, as float64."""
    exact = np.asarray(thresholds, np.float64)
    near = exact.astype(np.float32)
    return np.where(near > exact, np.nextafter(near, np.float32(-np.inf)), near).astype(np.float64)


def round_threshold(threshold: float) -> float:
    """Return a threshold rounded down."""
    return float(round_down(threshold))


def numbering(thresholds: list[float]) -> Callable[[float], float]:
    """Return a function that gives the numbers 1, 2, … in place of thresholds, and puts these into the list.

    Converters write float32, which holds these numbers but not the thresholds.
    """

    def number(value: float) -> float:
        thresholds.append(value)
        return float(len(thresholds))

    return number


@contextlib.contextmanager
def exact_nodes(tree_ensemble: Any, replace: Callable[[float], float]) -> Iterator[None]:
    """Let skl2onnx replace the thresholds of all trees meanwhile; by itself it rounds no histogram-based ones.

    Of trees with missing values it doesn't write where these go. And it writes a truth value where protobuf takes a
    whole number.
    """
    add_node, add_tree = tree_ensemble.add_node, getattr(tree_ensemble, ADD_TREE)
    trees: list[Any] = []

    def exact(attributes: Any, *arguments: Any, **named: Any) -> Any:
        if (mode := arguments[MODE]) != "LEAF":
            threshold = np.float64(arguments[THRESHOLD])  # a plain float would be compared in float32 here
            if named.get(ROUNDS) and np.isfinite(threshold):  # the trees round a number before they compare it
                threshold = tree_ensemble.sklearn_threshold(threshold, named["dtype"], mode)
            if ROUNDS in named:  # skl2onnx would look for ever for what is beside infinity, which splits off gaps alone
                named[ROUNDS] = False
            if trees:
                named[MISSING] = trees[-1].missing_go_to_left[arguments[NODE]]
            arguments = (*arguments[:THRESHOLD], replace(float(threshold)), *arguments[THRESHOLD + 1 :])
        named[MISSING] = int(named.get(MISSING, 0))
        return add_node(attributes, *arguments, **named)

    def with_gaps(attributes: Any, *arguments: Any, **named: Any) -> Any:
        trees.append(arguments[TREE])
        try:
            return add_tree(attributes, *arguments, **named)
        finally:
            trees.pop()

    places = [module for module in converters() if getattr(module, ADD_TREE, None) is add_tree]
    tree_ensemble.add_node = exact
    for module in places:
        setattr(module, ADD_TREE, with_gaps)
    try:
        yield
    finally:
        tree_ensemble.add_node = add_node
        for module in places:
            setattr(module, ADD_TREE, add_tree)


def converters() -> list[Any]:
    """Return the modules of skl2onnx, several of which hold the function that adds a tree."""
    return [module for name, module in sys.modules.items() if name.startswith("skl2onnx.")]


def compare_in_double(proto: onnx.ModelProto, thresholds: Sequence[float], kinds: Mapping[str, int]) -> None:
    """Let the trees of a graph of numbered thresholds compare numbers in float64 with the thresholds themselves.

    `kinds` are the types of the graph's values. Trees that get float32 have thresholds that are rounded down.
    """
    makers = makers_of(proto.graph)
    for node in [node for node in proto.graph.node if node.op_type in TREES]:
        attributes = {attribute.name: attribute for attribute in node.attribute}
        modes = [mode.decode() for mode in attributes["nodes_modes"].strings]
        numbers = np.array(attributes["nodes_values"].floats)
        values = [
            thresholds[int(number) - 1] if mode == LEQ else number for mode, number in zip(modes, numbers, strict=True)
        ]
        if kinds.get(node.input[0]) == DOUBLE:
            is_raised = np.array(modes) == LEQ if is_inexact(node.input[0], makers) else np.zeros(len(modes), np.bool_)
            raised = raise_thresholds(np.array(values), np.array(attributes["nodes_featureids"].ints))
            _write_doubles(node, attributes, np.where(is_raised, raised, values))
        else:
            attributes["nodes_values"].floats[:] = [
                round_threshold(value) if mode == LEQ else value for mode, value in zip(modes, values, strict=True)
            ]
    for opset in proto.opset_import:
        if opset.domain == "ai.onnx.ml":
            opset.version = 3  # the first with trees in float64
    for output in proto.graph.output:  # skl2onnx states float64 for some that are float32
        output.type.tensor_type.elem_type = kinds[output.name]


def raise_thresholds(thresholds: Array, columns: Array) -> Array:
    """Return thresholds raised by some of the last bits of their columns' largest ones; all have the shape (nodes,).

    Histogram-based trees put thresholds on numbers of the fit themselves. Where a step gives such a number with other
    last bits than the library's, it would fall on the other side. No threshold is raised past zero, which is exact.
    """
    largest = np.zeros(columns.max(initial=-1) + 1)
    sizes = np.where(np.isfinite(thresholds), np.abs(thresholds), 0)
    np.maximum.at(largest, columns, sizes)
    return np.asarray(thresholds + np.minimum(SLACK * largest[columns], sizes / 2))


def _write_doubles(node: onnx.NodeProto, attributes: Mapping[str, Any], values: Any) -> None:
    doubles = {"nodes_values": values} | {
        name: np.array(attributes[name].floats, np.float64) for name in WEIGHTS if name in attributes
    }
    for name, array in doubles.items():
        node.attribute.remove(attributes[name])
        tensor = onnx.numpy_helper.from_array(array, f"{name}_as_tensor")
        node.attribute.append(onnx.helper.make_attribute(f"{name}_as_tensor", tensor))
