"""Boosters of XGBoost behind steps that give sparse tables, such as encoders: it takes their zeros for missing values.

https://xgboost.readthedocs.io/en/stable/faq.html, "Why do I see different results with sparse and dense data?"
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from .boosters import boosters
from .model_parts import is_booster
from .predictor import library_of

SPARSE = "tocsr"  # a method that all of scipy's sparse tables have
METHODS = ("predict_proba", "predict")  # by which a model asks its parts, the first that a part has


def sparse_boosters(model: Any, table: Any) -> list[bool]:
    """Return for each booster of a model whether it is XGBoost's and gets a sparse table, as the model answers."""
    given = {id(booster): False for booster in boosters(model)}
    watched = [part for part in boosters(model) if is_inner(part, model)]

    def watch(booster: Any) -> Callable[..., Any]:
        answer = getattr(booster, method_of(booster))

        @wraps(answer)
        def watched_answer(rows: Any, *arguments: Any, **named: Any) -> Any:
            given[id(booster)] |= hasattr(rows, SPARSE)
            return answer(rows, *arguments, **named)

        return watched_answer

    try:
        for booster in watched:
            setattr(booster, method_of(booster), watch(booster))
        if watched:
            _answer(model, table)
    finally:
        for booster in watched:
            vars(booster).pop(method_of(booster), None)
    return [*given.values()]


def is_inner(booster: Any, model: Any) -> bool:
    """Return whether a booster is XGBoost's and part of another model."""
    return booster is not model and is_booster(booster) and library_of(booster) == "xgboost"


def method_of(part: Any) -> str:
    """Return the method by which a model asks a part."""
    return next(name for name in METHODS if hasattr(part, name))


def _answer(model: Any, table: Any) -> None:
    """Let a model answer in this process, where its parts are watched."""
    import joblib

    with joblib.parallel_config(backend="sequential"):
        getattr(model, method_of(model))(table)
