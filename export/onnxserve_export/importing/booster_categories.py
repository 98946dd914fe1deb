"""Which columns LightGBM was fitted to as categories of a data frame, and their texts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

INFOS = "feature_infos="  # of each column: `[lowest:highest]`, the categories' numbers as `0:1:2`, or `none`
UNUSED = "none"  # of a column with one value, of whatever type


def booster_columns(model: Any, names: list[str]) -> list[str | dict[str, Any]]:
    """Return the columns with the categories that LightGBM took from a data frame; an empty list if there are none.

    Such a column was fitted as its place among the categories, and as NaN for all else. ValueError if the file doesn't
    say which columns these are.
    """
    booster = getattr(model, "booster_", model)
    categories: Sequence[Sequence[Any]] = getattr(booster, "pandas_categorical", None) or []
    if not categories:
        return []
    columns: list[str | dict[str, Any]] = [*names]
    for place, own in zip(category_places(booster, len(categories)), categories, strict=True):
        texts = [str(category) for category in own]
        columns[place] = {
            "name": names[place],
            "type": "category",
            "categories": texts,
            "unknown": "nan",
            "nullable": True,
        }
    return columns


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
