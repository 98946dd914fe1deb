"""Which columns a booster was fitted to as categories of a data frame, and their texts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from onnxserve_export.sources.model_parts import is_booster
from onnxserve_export.sources.predictor import CATEGORY, booster_of, library_of
from onnxserve_handlers.inputs.table_categories import category_text

INFOS = "feature_infos="  # of each column: `[lowest:highest]`, the categories' numbers as `0:1:2`, or `none`
UNUSED = "none"  # of a column with one value, of whatever type


def booster_columns(model: Any, names: list[str]) -> list[str | dict[str, Any]]:
    """Return the columns with the categories that a booster took from a data frame; an empty list if there are none.

    Such a column was fitted as its place among the categories, and as NaN where there was none. LightGBM takes an
    unknown category for none; XGBoost refuses it. ValueError if the file doesn't say which columns or categories these
    are.
    """
    if not is_booster(model):
        return []
    is_lightgbm = library_of(model) == "lightgbm"
    known = lightgbm_categories(model) if is_lightgbm else xgboost_categories(model)
    if not known:
        return []
    unknown = {"unknown": "nan"} if is_lightgbm else {}
    return [
        {"name": name, "type": "category", "categories": list(map(category_text, known[place])), **unknown}
        | {"nullable": True}
        if place in known
        else name
        for place, name in enumerate(names)
    ]


def lightgbm_categories(model: Any) -> dict[int, Sequence[Any]]:
    """Return the categories of LightGBM's columns by place."""
    booster = getattr(model, "booster_", model)
    categories: Sequence[Sequence[Any]] = getattr(booster, "pandas_categorical", None) or []
    if not categories:
        return {}
    return dict(zip(category_places(booster, len(categories)), categories, strict=True))


def xgboost_categories(model: Any) -> dict[int, Sequence[Any]]:
    """Return the categories of XGBoost's columns by place; ValueError if the file has the types of columns alone.

    Files have categories since version 3.1: https://xgboost.readthedocs.io/en/stable/tutorials/categorical.html
    """
    booster = booster_of(model)
    places = [place for place, kind in enumerate(booster.feature_types or ()) if kind == CATEGORY]
    if not places:
        return {}
    try:
        columns = booster.get_categories(export_to_arrow=True).to_arrow()
        return {place: columns[place][1].to_pylist() for place in places}
    except (AttributeError, IndexError, ValueError) as error:
        names = ", ".join(booster.feature_names[place] for place in places)
        raise ValueError(f"{names} are categories, and the model doesn't say which: describe all columns") from error


def category_places(booster: Any, count: int) -> list[int]:
    """Return the places of the `count` columns that are categories; ValueError if these may be others too.

    The file has the categories in the order of their columns, and says which columns these are, but for those with one
    value: https://github.com/microsoft/LightGBM/blob/v4.6.0/python-package/lightgbm/basic.py, `_data_from_pandas`.
    """
    lines = booster.model_to_string(num_iteration=1).splitlines()
    infos = next((line for line in lines if line.startswith(INFOS)), INFOS).removeprefix(INFOS).split()
    unused = [place for place, info in enumerate(infos) if info == UNUSED]
    used = [place for place, info in enumerate(infos) if info != UNUSED and not info.startswith("[")]
    for places in (used, sorted([*used, *unused])):
        if len(places) == count:
            return places
    raise ValueError(f"{count} columns are categories of a data frame, and the model doesn't say which: describe all")
