"""The fitted estimators within a model of scikit-learn: steps, branches, members of ensembles, the best of a search."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

TARGET = "TransformedTargetRegressor"
BOOSTERS = {"xgboost", "lightgbm"}  # libraries
FITTED_IN_PLACE = ("steps", "transformer_list")  # other fitted fields end with an underscore


def parts(model: Any) -> list[Any]:
    """Return the estimators within a model, however deep they lie, each once, the outer ones first."""
    known: dict[int, Any] = {}
    waiting = [model]
    for holder in waiting:
        for part in held(holder):
            if id(part) not in known:
                known[id(part)] = part
                waiting.append(part)
    return list(known.values())


def held(holder: Any) -> Iterator[Any]:
    """Yield the fitted estimators in the fields of one; a parameter holds what was never fitted."""
    fields = getattr(holder, "__dict__", {})
    has_parameters, has_members = hasattr(holder, "get_params"), "estimators_" in fields
    for field, value in fields.items():
        is_template = has_members and field == "estimator_"  # of which the members are fitted copies
        if not is_template and (field in FITTED_IN_PLACE or field.endswith("_") or not has_parameters):
            yield from _estimators(value)


def _estimators(value: Any) -> Iterator[Any]:
    if isinstance(value, list | tuple):
        inner = value
    elif isinstance(value, dict):
        inner = [*value.values()]
    elif isinstance(value, np.ndarray) and value.dtype.kind == "O":
        inner = value.ravel().tolist()
    else:
        if is_estimator(value):
            yield value
        return
    for part in inner:
        yield from _estimators(part)


def is_estimator(value: Any) -> bool:
    """Return whether a value is a fitted step or model; parts of a calibrated model have no `fit`."""
    return any(hasattr(type(value), name) for name in ("fit", "predict_proba"))


def is_booster(value: Any) -> bool:
    """Return whether a value is a model of XGBoost or LightGBM."""
    return bool(BOOSTERS & {cls.__module__.partition(".")[0] for cls in type(value).__mro__})


def steps_of(part: Any) -> list[Any]:
    """Return the steps of a pipeline in their order; a model that is no pipeline is its only step.

    A regressor of a transformed target reads its columns as the regressor within it does.
    """
    if type(part).__name__ == TARGET:
        return steps_of(part.regressor_)
    return [step for _, step in part.steps] if hasattr(part, "steps") else [part]
