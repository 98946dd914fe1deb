"""Boosters of XGBoost and LightGBM for skl2onnx, alone and as steps of models of scikit-learn.

onnxmltools has their converters, and skl2onnx takes them from others:
https://onnx.ai/sklearn-onnx/auto_tutorial/plot_gexternal_lightgbm.html
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Iterator
from functools import partial
from types import SimpleNamespace
from typing import Any

import numpy as np
from onnx import TensorProto

from .booster_dump import dump_of
from .model_parts import is_booster, parts
from .predictor import CATEGORY, booster_of, is_classifier, library_of

RAW = "raw_scores"  # the option by which a model asks a member for its sums of leaves
CLASSIFIER_OPTIONS = {"zipmap": [True, False, "columns"], "nocl": [True, False], "output_class_labels": [False, True]}
Converter = Callable[[Any, Any, Any], None]


class BoosterOfValues:
    """A booster without scores of classes, as skl2onnx takes a model."""

    def __init__(self, booster: Any) -> None:
        self.wrapped = booster


def booster_of_scores(booster: Any, classes: int) -> BoosterOfValues:
    """Return a booster of scores of classes, which are numbered since its file has no names of them."""
    from sklearn.base import ClassifierMixin

    class BoosterOfScores(ClassifierMixin, BoosterOfValues):  # type: ignore[misc]
        classes_ = np.arange(classes)

        def predict_proba(self, table: Any) -> Any:
            """Return nothing: a model with this method has scores."""
            raise NotImplementedError

    return BoosterOfScores(booster)


def as_estimator(model: Any, library: str, columns: int) -> Any:
    """Return a model that skl2onnx takes: itself, or a booster of so many columns as one of the classes above."""
    if type(model).__name__ != "Booster":
        return model
    if not is_classifier(model, library):
        return BoosterOfValues(model)
    if library == "lightgbm":
        classes = model.num_model_per_iteration()
    else:
        import xgboost

        table = xgboost.DMatrix(
            np.zeros((1, columns)), feature_names=model.feature_names, feature_types=model.feature_types
        )
        classes = model.predict(table).size
    return booster_of_scores(model, max(2, classes))


def unwrapped(model: Any) -> Any:
    """Return a model itself in place of the class above that it is in."""
    return model.wrapped if isinstance(model, BoosterOfValues) else model


def boosters(model: Any) -> Iterator[Any]:
    """Yield the boosters of a model, itself or within it, in an order that a copy has too."""
    return (part for part in (model, *parts(model)) if is_booster(part) or isinstance(part, BoosterOfValues))


def register(model: Any, replace: Callable[[float], float], sparse: Collection[int]) -> None:
    """Let skl2onnx know the boosters of a model; `replace` gives the thresholds of LightGBM.

    `sparse` has the ids of boosters of XGBoost that were given sparse tables, whose zeros are missing values to it.
    """
    import skl2onnx
    from skl2onnx.common import shape_calculator

    for booster in boosters(model):
        cls, has_classes = type(booster), hasattr(booster, "predict_proba")
        is_lightgbm = library_of(unwrapped(booster)) == "lightgbm"
        convert: Converter = partial(convert_lightgbm, replace) if is_lightgbm else partial(convert_xgboost, sparse)
        kind = "classifier" if has_classes else "regressor"
        skl2onnx.update_registered_converter(
            cls,
            f"{'LightGBM' if is_lightgbm else 'XGBoost'}{cls.__name__}",
            getattr(shape_calculator, f"calculate_linear_{kind}_output_shapes"),
            convert,
            options=_options(booster) if has_classes else None,
        )


def _options(booster: Any) -> dict[str, Any]:
    """Return the options of a classifier; scikit-learn asks one that has raw scores for these where it can."""
    return CLASSIFIER_OPTIONS | ({RAW: [True, False]} if hasattr(booster, "decision_function") else {})


def convert_lightgbm(replace: Callable[[float], float], scope: Any, operator: Any, container: Any) -> None:
    """Write the nodes of a booster of LightGBM, which compares numbers as exact as they come."""
    from onnxmltools.convert.lightgbm.operator_converters.LightGbm import convert_lightgbm as convert

    model, kind = operator.raw_operator, type(operator.inputs[0].type).__name__
    dump = dump_of(getattr(model, "booster_", unwrapped(model)), replace)
    booster = SimpleNamespace(is_mock=True, dump_model=lambda: dump)
    raw = SimpleNamespace(booster_=booster, classes_=getattr(model, "classes_", None), boosting_type="gbdt")
    numbers = operator.inputs[0].full_name
    if kind not in ("FloatTensorType", "DoubleTensorType"):
        numbers = _cast(scope, container, numbers, TensorProto.FLOAT)
    before = len(container.nodes)
    _convert(convert, raw, numbers, scope, operator, container)
    if hasattr(model, "decision_function") and container.get_options(model, {RAW: False})[RAW]:
        for attribute in (attribute for node in container.nodes[before:] for attribute in node.attribute):
            if attribute.name == "post_transform":
                attribute.s = b"NONE"


def convert_xgboost(sparse: Collection[int], scope: Any, operator: Any, container: Any) -> None:
    """Write the nodes of a booster of XGBoost, which rounds all numbers to float32 before it compares them."""
    from onnxmltools.convert.xgboost._parse import WrappedBooster
    from onnxmltools.convert.xgboost.operator_converters.XGBoost import convert_xgboost as convert

    model = operator.raw_operator
    numbers = _cast(scope, container, operator.inputs[0].full_name, TensorProto.FLOAT)
    if id(model) in sparse:
        numbers = _zeros_missing(scope, container, numbers)
    with with_numbers(unwrapped(model)) as booster:
        raw = WrappedBooster(booster) if isinstance(model, BoosterOfValues) else model
        _convert(convert, raw, numbers, scope, operator, container)


@contextlib.contextmanager
def with_numbers(model: Any) -> Iterator[Any]:
    """Yield a booster of XGBoost whose columns have names and types that the converter knows: `f0`, `f1`, …."""
    booster = booster_of(model)
    names, types = booster.feature_names, booster.feature_types
    booster.feature_names = [f"f{place}" for place in range(booster.num_features())]
    booster.feature_types = types and [kind if kind == CATEGORY else "float" for kind in types]
    try:
        yield booster
    finally:
        booster.feature_names, booster.feature_types = names, types


def _convert(convert: Converter, raw: Any, numbers: str, scope: Any, operator: Any, container: Any) -> None:
    """Let onnxmltools write a booster's nodes, and give the outputs the types that skl2onnx expects."""
    from skl2onnx.common.data_types import guess_proto_type

    outputs = [SimpleNamespace(full_name=scope.get_unique_variable_name("trees")) for _ in operator.outputs]
    names = [output.full_name for output in outputs]
    convert(
        scope,
        SimpleNamespace(
            raw_operator=raw,
            inputs=operator.inputs,
            input_full_names=[numbers],
            outputs=outputs,
            output_full_names=names if len(names) > 1 else names[0],
            full_name=operator.full_name,
        ),
        container,
    )
    *label, scores = operator.outputs
    if label:
        container.add_node("Identity", [names[0]], [label[0].full_name])
    kind = guess_proto_type(scores.type)
    container.add_node("Cast", [names[-1]], [scores.full_name], to=kind)


def _cast(scope: Any, container: Any, name: str, kind: int) -> str:
    cast = str(scope.get_unique_variable_name("numbers"))
    container.add_node("Cast", [name], [cast], to=kind)
    return cast


def _zeros_missing(scope: Any, container: Any, numbers: str) -> str:
    """Write nodes that put NaN in place of zeros."""
    zero, gap, is_zero, sparse = (scope.get_unique_variable_name(name) for name in ("zero", "gap", "is_zero", "sparse"))
    container.add_initializer(zero, TensorProto.FLOAT, [], [0.0])
    container.add_initializer(gap, TensorProto.FLOAT, [], [float("nan")])
    container.add_node("Equal", [numbers, zero], [is_zero])
    container.add_node("Where", [is_zero, gap, numbers], [sparse])
    return str(sparse)
