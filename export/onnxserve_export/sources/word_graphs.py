"""Nodes for what skl2onnx counts otherwise than scikit-learn: groups of words, stop words, the logarithm of counts.

Each takes the place of, or stands behind, the nodes that the converter itself writes for a step that counts words.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto

from .pipeline_columns import is_vectoriser

COUNTS, WEIGHTS = "SklearnCountVectorizer", "SklearnTfidfTransformer"  # skl2onnx's names of its operators
ML = "ai.onnx.ml"
PAD = "#"


def write_words(step: Any) -> None:
    """Let a copied step that counts words become the nodes that are written here; it predicts no longer itself."""
    if is_vectoriser(step) and step.ngram_range[1] > 1:
        step.vocabulary_ = {tuple(group.split(" ")): place for group, place in step.vocabulary_.items()}
    step.onnx_converter = lambda: _convert


def _convert(scope: Any, operator: Any, container: Any) -> None:
    """Write the nodes of one operator, as a converter of skl2onnx does; a TfidfVectorizer is an operator of two."""
    from skl2onnx.common._registration import get_converter

    step, before = operator.raw_operator, len(container.nodes)
    if operator.type == WEIGHTS and step.sublinear_tf:
        operator = _with_logarithm(scope, operator, container)
    get_converter(operator.type)(scope, operator, container)
    if operator.type == COUNTS:
        _complete({node.op_type: node for node in container.nodes[before:]}, step, scope, container)


def _complete(nodes: dict[str, onnx.NodeProto], step: Any, scope: Any, container: Any) -> None:
    """Complete the nodes by which a step counts words, by their types."""
    groups = [group if isinstance(group, tuple) else (group,) for group in step.vocabulary_]
    words = {word for group in groups for word in group}
    _separate_padding(nodes["Tokenizer"], words)
    if step.ngram_range[1] > 1:
        _state_groups(nodes["TfIdfVectorizer"], [len(group) for group in groups], step.ngram_range[1])
    stop_words = sorted(step.get_stop_words() or ())
    if stop_words and (step.ngram_range[1] > 1 or not words.isdisjoint(stop_words)):
        _leave_out(stop_words, nodes, scope, container)


def _with_logarithm(scope: Any, operator: Any, container: Any) -> Any:
    """Write 1 + log(x) of all counts but 0, and return an operator that goes on with them.

    `sublinear_tf` of TfidfTransformer: https://scikit-learn.org/stable/modules/feature_extraction.html#tfidf-term-weighting
    """
    [counts] = operator.input_full_names
    kind = TensorProto.DOUBLE if type(operator.inputs[0].type).__name__ == "DoubleTensorType" else TensorProto.FLOAT
    none, single, is_none, logs, more, weights = _names(scope, "none", "single", "is_none", "logs", "more", "weights")
    container.add_initializer(none, kind, [], [0.0])
    container.add_initializer(single, kind, [], [1.0])
    container.add_node("Equal", [counts, none], is_none)
    container.add_node("Log", counts, logs)
    container.add_node("Add", [logs, single], more)
    container.add_node("Where", [is_none, none, more], weights)
    plain = copy.copy(operator.raw_operator)
    plain.sublinear_tf = False
    return SimpleNamespace(
        type=operator.type,
        raw_operator=plain,
        inputs=operator.inputs,
        input_full_names=[weights],
        output_full_names=operator.output_full_names,
    )


def _separate_padding(tokenizer: onnx.NodeProto, words: set[str]) -> None:
    """Let shorter rows end in a text that is no word of any group."""
    pad = PAD
    while pad in words:
        pad += PAD
    _set(tokenizer, "pad_value", pad)


def _state_groups(counter: onnx.NodeProto, sizes: Sequence[int], largest: int) -> None:
    """State where groups of each size begin, those of sizes that the vocabulary lacks too."""
    begins = np.cumsum([0, *(size * sizes.count(size) for size in range(1, largest))])
    _set(counter, "ngram_counts", [int(begin) for begin in begins])


def _set(node: onnx.NodeProto, field: str, value: Any) -> None:
    [former] = [attribute for attribute in node.attribute if attribute.name == field]
    former.CopyFrom(onnx.helper.make_attribute(field, value))


def _leave_out(stop_words: Sequence[str], nodes: dict[str, onnx.NodeProto], scope: Any, container: Any) -> None:
    """Move stop words behind the others of a row, in whose order nothing changes, and write the padding over them."""
    pad = next(attribute.s for attribute in nodes["Tokenizer"].attribute if attribute.name == "pad_value")
    flat, kept = nodes["Flatten"].output[0], scope.get_unique_variable_name("kept")
    nodes["TfIdfVectorizer"].input[0] = kept
    constants = {"padding": (TensorProto.STRING, pad), "zero": (TensorProto.INT64, 0), "step": (TensorProto.INT64, 1)}
    padding, zero, step = _names(scope, *constants)
    for name, (kind, value) in zip((padding, zero, step), constants.values(), strict=True):
        container.add_initializer(name, kind, [], [value])
    names = ("code", "is_stop", "padded", "shape", "length", "places", "behind", "keys", "sorted", "order")
    code, is_stop, padded, shape, length, places, behind, keys, ordered, order = _names(scope, *names)
    values = {"keys_strings": [*stop_words], "values_int64s": [1] * len(stop_words), "default_int64": 0}
    container.add_node("LabelEncoder", flat, code, op_domain=ML, op_version=2, **values)
    container.add_node("Cast", code, is_stop, to=TensorProto.BOOL)
    container.add_node("Where", [is_stop, padding, flat], padded)
    container.add_node("Shape", flat, shape, start=1)
    container.add_node("Squeeze", shape, length)
    container.add_node("Range", [zero, length, step], places)
    container.add_node("Mul", [code, length], behind)
    container.add_node("Add", [places, behind], keys)
    container.add_node("TopK", [keys, shape], [ordered, order], axis=1, largest=0, sorted=1)
    container.add_node("GatherElements", [padded, order], kept, axis=1)


def _names(scope: Any, *names: str) -> list[str]:
    return [scope.get_unique_variable_name(name) for name in names]
