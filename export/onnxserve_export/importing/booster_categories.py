"""Which columns LightGBM was fitted to as categories of a data frame, and their texts."""

from __future__ import annotations

from typing import Any

INFOS = "feature_infos="  # of each column: `[lowest:highest]`, the categories' numbers as `0:1:2`, or `none`
UNUSED = "none"


def booster_columns(model: Any, names: list[str]) -> list[str | dict[str, Any]]:
    """Return the columns with the categories that LightGBM took from a data frame; an empty list if there are none.

    Such a column was fitted as its place among the categories, and as NaN for all else. The file has the categories in
    the order of their columns, and says which columns these are:
    https://github.com/microsoft/LightGBM/blob/v4.6.0/python-package/lightgbm/basic.py, `_data_from_pandas`.
    """
    booster = getattr(model, "booster_", model)
    categories = getattr(booster, "pandas_categorical", None) or []
    places = category_places(booster.model_to_string(num_iteration=1)) if categories else []
    if not places or len(places) != len(categories):
        return []
    columns: list[str | dict[str, Any]] = [*names]
    for place, own in zip(places, categories, strict=True):
        texts = [str(category) for category in own]
        columns[place] = {
            "name": names[place],
            "type": "category",
            "categories": texts,
            "unknown": "nan",
            "nullable": True,
        }
    return columns


def category_places(text: str) -> list[int]:
    """Return the places of the columns that are categories, of the text of a booster."""
    line = next((line for line in text.splitlines() if line.startswith(INFOS)), INFOS)
    infos = line.removeprefix(INFOS).split()
    return [place for place, info in enumerate(infos) if info != UNUSED and not info.startswith("[")]
