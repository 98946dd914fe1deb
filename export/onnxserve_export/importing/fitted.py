"""A fitted model of scikit-learn, XGBoost or LightGBM: columns, and labels or values."""

from __future__ import annotations

from typing import Any

from onnxserve_export.row_columns import unnamed
from onnxserve_export.sources.pipeline_columns import read_names, takes_frame
from onnxserve_export.sources.predictor import is_classifier, objective, value_method
from onnxserve_export.sources.trees import TreeSource

from .booster_categories import booster_columns
from .fitted_columns import typed_columns
from .outline import Outline


def read_fitted(outline: Outline, source: TreeSource) -> None:
    """Read the columns that a model was fitted to, and its classes."""
    model = source.model
    outline.add("input.kind", "table", f"{source.name} takes a table")
    read_columns(outline, model)
    if not is_classifier(model, source.name):
        outline.add("output.task", "regression", f"{type(model).__name__} gives {_values_of(source)}")
        return
    if getattr(model, "multilabel_", False):
        outline.add("output.task", "multilabel", f"{type(model).__name__} was fitted to several labels a row")
    outline.add("output.task", "classification", f"{type(model).__name__} gives scores of classes")
    classes = getattr(model, "classes_", None)
    if classes is not None:
        outline.add("output.labels", [str(label) for label in classes], "the model's classes_")
    else:
        is_booster = type(model).__name__ == "Booster"
        kind = f"a booster has no names of classes; its objective is {objective(model)}" if is_booster else ""
        outline.ask("output.labels", kind or f"{type(model).__name__} has no names of classes")


def _values_of(source: TreeSource) -> str:
    """Return what the values of a model without classes are."""
    method = value_method(source.model) if source.name == "scikit-learn" else ""
    known = {"decision_function": "scores: below 0 is an outlier", "transform": "the distances to its centres"}
    return known.get(method, "values")


def read_columns(outline: Outline, model: Any) -> None:
    """Read names and types of the columns; names that the user gives stand for the model's own, in its order."""
    names, origin = columns_of(model)
    try:
        categories = booster_columns(model, names)
    except ValueError as error:
        outline.ask("input.columns", str(error))
        return
    typed, given, why = categories or typed_columns(model), outline.get("input.columns", []), ""
    if takes_frame(model):
        outline.add("input.tensors", "columns", "the pipeline reads its columns by their names")
        read = read_names(model)
        if dropped := [name for name in names if name not in read]:
            why = f"without those that the pipeline drops: {', '.join(dropped)}"
        if given in (names, read):
            outline.replace("input.columns", typed or read, why)
        names, origin = read, "; ".join(filter(None, (origin, why)))
    elif typed and len(given) == len(typed) and all(isinstance(column, str) for column in given):
        outline.replace("input.columns", [_renamed(column, name) for name, column in zip(given, typed, strict=True)])
    known = (
        "categories of the data frame that it was fitted to" if categories else "what the pipeline's first steps know"
    )
    if typed:
        outline.add("input.columns", typed, "; ".join(filter(None, (known, why))))
    elif names:
        outline.add("input.columns", names, origin)
    if any(isinstance(column, dict) and column.get("type") == "text" for column in typed):
        outline.add("input.tensors", "columns", "texts are tensors of their own")


def _renamed(column: str | dict[str, Any], name: str) -> str | dict[str, Any]:
    return {**column, "name": name} if isinstance(column, dict) else name


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
            return unnamed(int(count)), f"the model's {attribute}; it knows no names, and --columns gives it some"
    return [], ""
