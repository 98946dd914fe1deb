"""A copy of a scikit-learn model as its converter takes it: it answers the same, and the graph is made of it."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
from onnx import TensorProto

from .ensemble_members import is_search, without_searches
from .functions import is_function, write_function
from .model_parts import parts
from .pipeline_columns import is_vectoriser, name_columns, voters
from .step_converters import nodes_of, write_exactly
from .step_outputs import is_mended, mend_outputs
from .text_imputers import is_text_imputer, leave_out_text_imputers
from .word_graphs import write_words

DENSE = "onehot-dense"


def convertible(model: Any) -> Any:
    """Return a copy of a model for the converter; the model itself where nothing in it has to change."""
    if not any(_changes(part) for part in (model, *parts(model))):
        return model
    model = without_searches(copy.deepcopy(model))
    leave_out_text_imputers(model)
    name_columns(model)
    for part in (model, *parts(model)):
        _write_texts(part)
        _write_numbers(part)
    return model


def _write_texts(part: Any) -> None:
    """Let a step of texts be as the converter takes it."""
    if is_vectoriser(part):
        # The handler gives texts in lower case where they want it, and making lower case twice changes nothing.
        part.lowercase = False
        vars(part).pop("stop_words_", None)  # of older versions: words without use, which the converter would drop
    if is_vectoriser(part) or hasattr(part, "sublinear_tf"):
        write_words(part)


def _write_numbers(part: Any) -> None:
    """Let a step or model of numbers be as the converter takes it."""
    if voters(part):
        part.flatten_transform = False  # it shapes `transform` alone, and the converter knows no other value
        part.weights = None if part.weights is None else np.asarray(part.weights)
    if is_function(part):
        write_function(part)
    write_exactly(part)
    if is_mended(part):
        mend_outputs(part)
    if has_odd_classes(part):
        part.classes_ = part.classes_.astype(np.int64)
    if is_selector_of_first(part):
        part.onnx_converter = lambda: _convert_first
    if is_sparse(part):
        part.encode = DENSE


def _changes(part: Any) -> bool:
    has_own_field = any(hasattr(part, field) for field in ("transformers_", "sublinear_tf"))
    kinds = (is_vectoriser, is_text_imputer, is_function, voters, is_selector_of_first, is_sparse, is_search)
    has_own_nodes = bool(nodes_of(part)) or is_mended(part)
    return has_own_field or has_own_nodes or has_odd_classes(part) or any(is_it(part) for is_it in kinds)


def has_odd_classes(part: Any) -> bool:
    """Return whether a classifier's classes are truth values or short whole numbers, which the converter doesn't know.

    Their names aren't of the graph, which gives scores.
    """
    classes = vars(part).get("classes_") if hasattr(part, "__dict__") else None
    return isinstance(classes, np.ndarray) and classes.dtype.kind in ("b", "i", "u") and classes.dtype != np.int64


def is_sparse(part: Any) -> bool:
    """Return whether a step gives bins as sparse columns; the converter knows dense ones, of equal values."""
    return type(part).__name__ == "KBinsDiscretizer" and part.encode == "onehot"


def is_selector_of_first(part: Any) -> bool:
    """Return whether a step keeps the first column alone, for which the converter writes an invalid node."""
    return hasattr(part, "get_support") and hasattr(part, "transform") and [*part.get_support(indices=True)] == [0]


def _convert_first(scope: Any, operator: Any, container: Any) -> None:
    """Write the node that keeps the first column, as a converter of skl2onnx does."""
    place = scope.get_unique_variable_name("first")
    container.add_initializer(place, TensorProto.INT64, [1], [0])
    container.add_node("Gather", [operator.inputs[0].full_name, place], operator.outputs[0].full_name, axis=1)
