"""A fitted model of scikit-learn, XGBoost or LightGBM: columns, and labels or values."""

from __future__ import annotations

from typing import Any

from onnxserve_export.sources.pipeline_columns import branches_of, has_names, names_of
from onnxserve_export.sources.trees import TreeSource, is_classifier, objective

from .booster_categories import booster_columns
from .fitted_columns import typed_columns
from .outline import Outline


def read_fitted(outline: Outline, source: TreeSource) -> None:
    """Read the columns that a model was fitted to, and its classes."""
    model = source.model
    outline.add("input.kind", "table", f"{source.name} takes a table")
    read_columns(outline, model)
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


def read_columns(outline: Outline, model: Any) -> None:
    """Read names and types of the columns; names that the user gives stand for the model's own, in its order."""
    names, origin = columns_of(model)
    categories = booster_columns(model, names)
    typed = categories or typed_columns(model)
    given = outline.get("input.columns", [])
    may_rename = not (branches_of(model) and has_names(model)) or given == names_of(model)
    if may_rename and typed and len(given) == len(typed) and all(isinstance(column, str) for column in given):
        columns = [
            {**column, "name": name} if isinstance(column, dict) else name
            for name, column in zip(given, typed, strict=True)
        ]
        outline.replace("input.columns", columns)
    elif typed:
        origins = ("categories of the data frame that it was fitted to", "what the pipeline's first steps know of them")
        outline.add("input.columns", typed, origins[not categories])
    elif names:
        outline.add("input.columns", names, origin)
    has_texts = any(isinstance(column, dict) and column.get("type") == "text" for column in typed)
    if has_texts:
        outline.add("input.tensors", "columns", "texts are tensors of their own")
    elif branches_of(model) and has_names(model):
        outline.add("input.tensors", "columns", "the pipeline reads its columns by their names")


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
