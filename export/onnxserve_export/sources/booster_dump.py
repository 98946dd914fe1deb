"""What onnxmltools reads of a booster of LightGBM, with what its converter doesn't know written in words that it knows.

How LightGBM decides: https://github.com/microsoft/LightGBM/blob/v4.6.0/include/LightGBM/tree.h, `NumericalDecision`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

NUMBER = "<="  # the decision by a number; that by categories is `==`
NONE, NAN = "None", "NaN"  # what a node takes for missing: nothing, so that NaN is 0, or NaN
PLAIN = "regression"  # the objective whose answers are the trees' sums
SUMS = ("fair", "mape")  # objectives of the same answers, which the converter doesn't know
SIGMOID = "sigmoid:"  # the factor of the sums of `binary`


def dump_of(booster: Any, replace: Callable[[float], float]) -> dict[str, Any]:
    """Return a booster of LightGBM as its `dump_model` does; `replace` gives its thresholds.

    Leaves have the factors of forests and of the objective, which the converter leaves out.
    """
    dump: dict[str, Any] = booster.dump_model()
    factor = leaf_factor(dump)
    for tree in dump["tree_info"]:
        for node in nodes_of(tree["tree_structure"]):
            if "leaf_value" in node:
                node["leaf_value"] *= factor
            elif node["decision_type"] == NUMBER:
                _write_decision(node, replace)
    if dump["objective"].split()[0] in SUMS:
        dump["objective"] = PLAIN
    return dump


def leaf_factor(dump: dict[str, Any]) -> float:
    """Return what the answers of all leaves are multiplied by: a forest has the mean of its trees."""
    factors = [float(word.removeprefix(SIGMOID)) for word in dump["objective"].split() if word.startswith(SIGMOID)]
    factor = factors[0] if factors else 1.0
    rounds = len(dump["tree_info"]) // max(1, dump["num_tree_per_iteration"])
    return factor / rounds if dump.get("average_output") and rounds else factor


def nodes_of(tree: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the nodes of a tree, leaves among them."""
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        yield node
        waiting += [node[side] for side in ("left_child", "right_child") if side in node]


def _write_decision(node: dict[str, Any], replace: Callable[[float], float]) -> None:
    if node["missing_type"] == NONE:
        node["missing_type"], node["default_left"] = NAN, bool(node["threshold"] >= 0)
    node["threshold"] = replace(float(node["threshold"]))
