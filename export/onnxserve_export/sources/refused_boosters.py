"""Boosters of XGBoost and LightGBM that no graph of trees answers as: refused by name, with a way out."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from .predictor import booster_of, library_of, objective

Fault = tuple[str, str]  # what can't become a graph, and the way out
OF_LIGHTGBM: tuple[str, ...] = (
    "binary",
    "multiclass",
    "regression",
    "regression_l1",
    "quantile",
    "huber",
    "fair",
    "mape",
    "poisson",
)
OF_LIGHTGBM += ("gamma", "tweedie", "lambdarank", "rank_xendcg")
OF_XGBOOST: tuple[str, ...] = (
    "binary:logistic",
    "multi:softprob",
    "reg:squarederror",
    "reg:squaredlogerror",
    "reg:absoluteerror",
)
OF_XGBOOST += ("reg:pseudohubererror", "reg:quantileerror", "count:poisson", "reg:gamma", "reg:tweedie")
DECISIONS = "decision_type="  # a line of a tree in LightGBM's text
ZERO_MISSING = 1  # of two bits of a decision type of LightGBM, above the lowest two
TREES = "gbtree"


def booster_faults(model: Any) -> Iterator[Fault]:
    """Yield what of a booster, a model of its own or a step, can't become a graph."""
    faults = _of_xgboost(model) if library_of(model) == "xgboost" else _of_lightgbm(model)
    yield from ((f"{type(model).__name__}: {what}", fix) for what, fix in faults)


def _of_lightgbm(model: Any) -> Iterator[Fault]:
    booster = getattr(model, "booster_", model)
    lines = booster.model_to_string().splitlines()
    goal, *words = objective(booster).split() or ["a function of your own"]
    if goal not in OF_LIGHTGBM:
        yield f"its objective is {goal}, whose answers no graph gives", f"fit it with one of {', '.join(OF_LIGHTGBM)}"
    if "sqrt" in words:
        yield "reg_sqrt takes roots of the targets", "fit a TransformedTargetRegressor(…, func=np.log1p, …) around it"
    if "is_linear=1" in lines:
        yield "linear_tree puts linear models into leaves, which no graph does", "fit it without linear_tree"
    decisions = (kind for line in lines if line.startswith(DECISIONS) for kind in line.partition("=")[2].split())
    if any(int(kind) >> 2 & 3 == ZERO_MISSING for kind in decisions):
        yield "zero_as_missing takes zeros for missing values", "fit it to NaN in place of zeros, without it"


def _of_xgboost(model: Any) -> Iterator[Fault]:
    import msgspec

    booster = booster_of(model)
    learner = msgspec.json.decode(booster.save_config())["learner"]
    goal = objective(booster)
    kind = learner["gradient_booster"]["name"]
    if kind != TREES:
        yield f"its booster is {kind}, which the converter doesn't know", 'fit it with booster="gbtree"'
    if goal not in OF_XGBOOST:
        fix = f"fit it with one of {', '.join(OF_XGBOOST)}"
        yield f"its objective is {goal}, whose answers no graph gives", fix
    if int(learner["learner_model_param"].get("num_target", 1)) > 1:
        yield "it has several targets, of which the converter knows one", "fit a MultiOutputRegressor(XGBRegressor(…))"
    missing = getattr(model, "missing", math.nan)
    if missing is not None and not math.isnan(missing):
        yield f"missing={missing:g} stands for missing values", "fit it to NaN in its place"
