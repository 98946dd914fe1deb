"""A fitted model of scikit-learn, XGBoost or LightGBM: columns, and labels or values."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from onnxserve_export.sources.tree_files import open_trees
from onnxserve_export.sources.trees import is_classifier, objective

from .fitted_columns import typed_columns
from .outline import Outline


def read_fitted(outline: Outline, path: Path, *, trust: bool) -> None:
    """Read the columns that the model was fitted to, and its classes; DefinitionError if the file can't be read."""
    source = open_trees(path, trust=trust)
    model = source.model
    outline.add("input.kind", "table", f"{source.name} takes a table")
    names, origin = columns_of(model)
    if not outline.get("input.columns") and (typed := typed_columns(model)):
        outline.add("input.columns", typed, "the pipeline's encoders and imputers")
        outline.add("input.tensors", "columns", "texts are tensors of their own")
    elif names:
        outline.add("input.columns", names, origin)
    if not is_classifier(model, source.name):
        outline.add("output.task", "regression", f"{type(model).__name__} gives values")
        return
    if getattr(model, "multilabel_", False):
        outline.add("output.task", "multilabel", f"{type(model).__name__} was fitted to several labels a row")
    outline.add("output.task", "classification", f"{type(model).__name__} gives scores of classes")
    classes = getattr(model, "classes_", None)
    if classes is not None:
        outline.add("output.labels", [str(label) for label in classes], "the model's classes_")
    else:
        outline.ask("output.labels", f"a booster has no names of classes; its objective is {objective(model)}")


def columns_of(model: Any) -> tuple[list[str], str]:
    """Return the columns' names and where they were read; names of our own where the model knows only their number."""
    for attribute in ("feature_names_in_", "feature_names", "feature_name"):
        names = getattr(model, attribute, None)
        names = names() if callable(names) else names
        if names is not None and len(names):
            return [str(name) for name in names], f"the model's {attribute}"
    for attribute in ("n_features_in_", "num_features", "num_feature"):
        count = getattr(model, attribute, None)
        count = count() if callable(count) else count
        if count:
            return [f"x{index}" for index in range(int(count))], f"the model's {attribute}; it knows no names"
    return [], ""
