"""Rows right beside the thresholds of a fitted model's trees, and whether other steps compute what is compared."""

from __future__ import annotations

import numpy as np
import onnx

from .arrays import Arrays
from .sources.computed_values import is_computed, makers_of
from .sources.tree_nodes import LEQ, TREES
from .sources.trees import TreeSource

MOST_THRESHOLDS = 256
SIDES = (0.499, 0.501)  # of the way from a threshold in float32 to the next number: they round to different ones
STEPPING = (*TREES, "GreaterOrEqual")  # nodes whose outputs jump at a threshold: trees, and bins


def float32_graph(model: TreeSource, exact: Arrays) -> onnx.GraphProto | None:
    """Return the graph of a model in float32, None if it can't be converted; the step `trace` says why."""
    example = {name: array[:1].astype(np.float32) if is_double(array) else array[:1] for name, array in exact.items()}
    try:
        return model.converted(example).graph
    except Exception:  # noqa: BLE001 - whatever a converter raises
        return None


def is_double(array: np.ndarray) -> bool:
    """Return whether an array is of float64."""
    return array.dtype == np.float64


def rows_beside_thresholds(graph: onnx.GraphProto | None, exact: Arrays) -> Arrays:
    """Return rows with numbers right beside a threshold: one number of a tensor of all columns, else all of them.

    None where trees don't compare the columns.
    """
    pairs = thresholds(graph) if graph is not None else []
    steps = [np.spacing(np.float32(abs(threshold))).astype(np.float64) for _, threshold in pairs]
    columns = np.array([column for column, _ in pairs for _ in SIDES], np.int64)
    values = [threshold + step * side for (_, threshold), step in zip(pairs, steps, strict=True) for side in SIDES]
    number = np.arange(len(values))
    rows = {name: array[number // len(SIDES) % len(array)] for name, array in exact.items()}
    for array in filter(is_double, rows.values()):
        array[number, np.minimum(columns, array.shape[1] - 1)] = values
    return rows


def thresholds(graph: onnx.GraphProto) -> list[tuple[int, float]]:
    """Return columns and thresholds in float32 of the trees that compare columns themselves, some of very many."""
    known, makers = dict[tuple[int, float], None](), makers_of(graph)
    for node in graph.node:
        if node.op_type not in TREES or is_computed(node.input[0], makers):
            continue
        attributes = {attribute.name: attribute for attribute in node.attribute}
        places = zip(
            attributes["nodes_featureids"].ints,
            attributes["nodes_values"].floats,
            attributes["nodes_modes"].strings,
            strict=True,
        )
        known |= dict.fromkeys((column, value) for column, value, mode in places if mode.decode() == LEQ)
    every = list(known)
    return every[:: max(1, len(every) // MOST_THRESHOLDS)]


def has_inner_thresholds(graph: onnx.GraphProto | None) -> bool:
    """Return whether trees or bins compare what other steps computed, and not the columns themselves."""
    if graph is None:
        return False
    makers = makers_of(graph)
    return any(is_computed(node.input[0], makers) for node in graph.node if node.op_type in STEPPING)
