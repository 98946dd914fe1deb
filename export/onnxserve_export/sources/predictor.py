"""What a fitted model of scikit-learn, XGBoost or LightGBM answers: scores of classes, or values."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from onnxserve.errors import DefinitionError
from onnxserve_export.arrays import Array

from .model_parts import parts, steps_of

CATEGORY = "c"  # XGBoost's type of a column of categories
# Objectives of XGBoost whose boosters give no scores from 0 to 1, and what gives them.
SCORELESS = {"multi:softmax": "multi:softprob", "binary:hinge": "binary:logistic", "binary:logitraw": "binary:logistic"}


def library_of(model: Any) -> str:
    """Return the library that a fitted model belongs to; DefinitionError if it is of none.

    XGBoost's and LightGBM's classes are scikit-learn's too.
    """
    libraries = {cls.__module__.partition(".")[0] for cls in type(model).__mro__}
    known = (name for name in ("xgboost", "lightgbm", "scikit-learn") if name.replace("scikit-", "sk") in libraries)
    if library := next(known, None):
        return library
    raise DefinitionError(
        f"{type(model).__name__} isn't a fitted model of scikit-learn, XGBoost or LightGBM",
        fix="write the fitted estimator or pipeline itself, and nothing around it",
    )


def is_classifier(model: Any, library: str) -> bool:
    """Return whether a fitted model gives scores of classes."""
    if hasattr(model, "predict_proba"):
        return True
    if library == "xgboost" and type(model).__name__ == "Booster":
        return objective(model).startswith(("binary:", "multi:"))
    if library == "lightgbm" and type(model).__name__ == "Booster":
        return objective(model).startswith(("binary", "multiclass"))
    return False


def booster_of(model: Any) -> Any:
    """Return the booster of a model of XGBoost, which may be one itself."""
    return model.get_booster() if hasattr(model, "get_booster") else model


def objective(booster: Any) -> str:
    """Return the objective of a Booster of XGBoost or LightGBM."""
    if hasattr(booster, "save_config"):
        import msgspec

        return str(msgspec.json.decode(booster.save_config())["learner"]["objective"]["name"])
    text = booster.model_to_string(num_iteration=1)
    return next((line.partition("=")[2] for line in text.splitlines() if line.startswith("objective=")), "")


def predictor(model: Any, library: str) -> Callable[[Array], Any]:
    """Return the function that gives a fitted model's scores or values for a table."""
    if isinstance(getattr(model, "classes_", None), list):
        raise DefinitionError(
            f"{type(model).__name__} classifies several targets", fix="import a model for each target"
        )
    if hasattr(model, "predict_proba"):
        check_multilabel(model)
        check_calibrated(model)
        return model.predict_proba  # type: ignore[no-any-return]
    if library == "xgboost" and type(model).__name__ == "Booster":
        import xgboost

        if better := SCORELESS.get(objective(model)):
            raise DefinitionError(
                f"a booster of the objective {objective(model)} gives no scores of classes",
                fix=f'write it again after booster.set_param({{"objective": "{better}"}})',
            )
        names, types = model.feature_names, model.feature_types  # those of the data frame that it was fitted to
        return lambda table: model.predict(xgboost.DMatrix(table, feature_names=names, feature_types=types))
    if library == "scikit-learn":
        return _value_predictor(model)
    if hasattr(model, "predict"):
        return model.predict  # type: ignore[no-any-return]
    raise no_answers(model)


def check_multilabel(model: Any) -> None:
    """Raise DefinitionError for a network of several labels a row, of which the converter's graph has no scores."""
    last = steps_of(model)[-1]
    if getattr(last, "out_activation_", "") == "logistic" and last.n_outputs_ > 1:
        name = type(last).__name__
        fix = f"fit it within sklearn.multiclass.OneVsRestClassifier({name}(…))"
        raise DefinitionError(f"{name} was fitted to several labels a row", fix=fix)


def check_calibrated(model: Any) -> None:
    """Raise DefinitionError for a calibrated pipeline, whose last step's raw scores the converter doesn't ask for."""
    for part in (model, *parts(model)):
        if any(len(steps_of(member.estimator)) > 1 for member in getattr(part, "calibrated_classifiers_", ())):
            name = type(part).__name__
            fix = f"fit it as the last step of the pipeline: make_pipeline(…, {name}(…))"
            raise DefinitionError(f"{name} was fitted around a pipeline, which has no graph", fix=fix)


def _value_predictor(model: Any) -> Callable[[Array], Any]:
    """Return the function of a scikit-learn model without scores of classes that gives its values."""
    name = type(steps_of(model)[-1]).__name__
    if gives_labels(model):
        is_vote = getattr(steps_of(model)[-1], "voting", "") == "hard"
        raise DefinitionError(
            f"{name} gives labels without scores: it has no predict_proba",
            fix="fit it with voting='soft'"
            if is_vote
            else "fit it within sklearn.calibration.CalibratedClassifierCV, which gives scores",
        )
    if (method := value_method(model)) and hasattr(model, method):
        return getattr(model, method)  # type: ignore[no-any-return]
    if method == "decision_function":
        raise DefinitionError(f"{name} scores no other rows than those of its fit", fix="fit it with novelty=True")
    if method == "transform":
        raise DefinitionError(f"{name} gives numbers of clusters alone", fix="fit a KMeans, which gives distances")
    raise no_answers(model)


def no_answers(model: Any) -> DefinitionError:
    """Return the error for a model that answers nothing."""
    return DefinitionError(
        f"{type(model).__name__} has no predict: is it a transformer?", fix="give the whole pipeline"
    )


def value_method(model: Any) -> str:
    """Return the method whose values a scikit-learn model without classes gives.

    They are the scores of a detector of outliers, which are below 0, or the distances to the centres of clusters: of
    labels and numbers, which `predict` gives, a graph's rounding may change any.
    """
    from sklearn.base import is_clusterer, is_outlier_detector

    if is_outlier_detector(model):
        return "decision_function"
    return "transform" if is_clusterer(model) else "predict"


def gives_labels(model: Any) -> bool:
    """Return whether scikit-learn calls an estimator a classifier, with scores or without."""
    from sklearn.base import is_classifier as has_classes

    return bool(has_classes(model))
