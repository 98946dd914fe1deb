"""Converters of scikit-learn, XGBoost and LightGBM models to ONNX."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx

from onnxserve_export.arrays import Arrays

from .boosters import as_estimator, boosters, register
from .convertible import convertible
from .fitted_tables import table_of
from .model_parts import steps_of
from .sparse_tables import sparse_boosters
from .target_transform import turn_back, without_target
from .tree_nodes import compare_in_double, exact_nodes, numbering, round_threshold
from .type_promotion import mixed_types, promote
from .vectorisers import word_options

OPSET = {"": 20, "ai.onnx.ml": 3}


def convert(model: Any, library: str, tensors: Arrays) -> onnx.ModelProto:
    """Return the graph of a fitted model for a batch's tensors; its last output has the answers.

    Steps compute in float64 where tensors have it, and trees compare in float64 where the library does that too:
    XGBoost, and all trees of scikit-learn but histogram-based ones, round to float32 themselves.
    """
    import skl2onnx
    from skl2onnx.common import tree_ensemble

    inner, target = without_target(model)
    sparse = sparse_boosters(inner, table_of(model, tensors))
    columns = sum(array.shape[-1] for array in tensors.values())
    inner = as_estimator(convertible(inner), library, columns)
    is_double = any(array.dtype == np.float64 for array in tensors.values())
    thresholds: list[float] = []
    replace = numbering(thresholds) if is_double else round_threshold
    register(inner, replace, {id(part) for part, is_sparse in zip(boosters(inner), sparse, strict=True) if is_sparse})
    scores = {id(inner): {"zipmap": False}} if has_zipmap(inner) else {}
    with mixed_types(), exact_nodes(tree_ensemble, replace):
        proto: onnx.ModelProto = skl2onnx.convert_sklearn(
            inner, initial_types=typed_inputs(tensors), options=scores | word_options(inner), target_opset=OPSET
        )
    if is_double:
        compare_in_double(proto, thresholds, promote(proto))
    turn_back(proto, target)
    return proto


def typed_inputs(tensors: Arrays) -> list[tuple[str, Any]]:
    """Return names and types of tensors for the converter; several tensors are the columns of a data frame.

    Truth values are numbers there, since steps don't take the former; the graph casts them.
    """
    from skl2onnx.common import data_types

    is_double = any(array.dtype == np.float64 for array in tensors.values())
    kinds = {
        "U": data_types.StringTensorType,
        "f": data_types.FloatTensorType,
        "float64": data_types.DoubleTensorType,
        "int64": data_types.Int64TensorType,
        "int32": data_types.Int32TensorType,
        "bool": data_types.DoubleTensorType if is_double else data_types.FloatTensorType,
    }
    return [
        (name, (kinds.get(array.dtype.name) or kinds[array.dtype.kind])([None, array.shape[1]]))
        for name, array in tensors.items()
    ]


def has_zipmap(model: Any) -> bool:
    """Return whether the converter would give a model's scores as mappings; those of a mixture are a tensor."""
    return hasattr(model, "predict_proba") and not type(steps_of(model)[-1]).__name__.endswith("GaussianMixture")
