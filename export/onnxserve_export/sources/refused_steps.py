"""Steps of scikit-learn that no graph does, or whose graph the converter writes wrongly: refused by name."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from onnxserve.errors import DefinitionError

from .ensemble_members import converted_steps, members_of
from .model_parts import TARGET, is_booster, parts, steps_of
from .pipeline_columns import has_names, voters
from .refused_boosters import booster_faults
from .target_transform import target_fault, without_target

KNOWN = "see the models that skl2onnx knows: https://onnx.ai/sklearn-onnx/supported.html"
# The converter knows these, and its graph fails: of KNNImputer on a batch of rows, of the others on any row.
FAILING = ("KNNImputer", "RadiusNeighborsClassifier", "RadiusNeighborsRegressor")
SELECTORS = ("RFE", "RFECV")  # they predict too, and the converter writes the columns alone
REMEDIES = {
    "KNNImputer": "fit a SimpleImputer in its place, which fills in a mean, a median or a constant",
    "RadiusNeighborsClassifier": "fit a KNeighborsClassifier",
    "RadiusNeighborsRegressor": "fit a KNeighborsRegressor",
    "FixedThresholdClassifier": "import its estimator_, and choose the threshold where the scores are read",
    "FrozenEstimator": "import its estimator",
    "SelfTrainingClassifier": "import its estimator_",
    "RegressorChain": "fit a MultiOutputRegressor",
    "SequentialFeatureSelector": "fit a SelectFromModel or a SelectKBest of the columns that it chose",
    "FactorAnalysis": "fit a PCA",
    "FastICA": "fit a PCA",
    "KernelRidge": "fit an SVR or a GaussianProcessRegressor",
    TARGET: f"fit it around the whole model, or as the last step of it: {TARGET}(…)",
    "SplineTransformer": "fit a PolynomialFeatures or a KBinsDiscretizer",
}


def check_steps(model: Any) -> None:
    """Raise DefinitionError for steps without a right graph; it lists all causes, and the way out of each."""
    inner, _ = without_target(model)
    faults = [*target_fault(model), *_last_fault(inner)]
    for step in converted_steps(inner):
        faults += booster_faults(step) if is_booster(step) else _faults(step)
    for part in (inner, *parts(inner)):
        faults += [
            *_frame_faults(part),
            *_calibration_faults(part),
            *_category_faults(part, is_inner=part is not inner),
        ]
    if faults:
        raise DefinitionError(
            "the model can't become a graph:\n" + "\n".join(dict.fromkeys(f"  {what}" for what, _ in faults)),
            fix="\n         ".join(dict.fromkeys(fix for _, fix in faults)),
        )


def _last_fault(model: Any) -> Iterator[tuple[str, str]]:
    name = type(steps_of(model)[-1]).__name__
    if name in SELECTORS:
        yield f"{name} chooses columns and predicts at once", f"fit it as a step: make_pipeline({name}(…), …)"


def _faults(step: Any) -> Iterator[tuple[str, str]]:
    name = type(step).__name__
    if name in FAILING:
        yield f"{name}: the converter's graph of it fails", REMEDIES[name]
    elif name == "GaussianProcessClassifier" and step.n_classes_ > 2:
        yield f"{name} has {step.n_classes_} classes, and the converter knows two", f"fit a {name} for each class"
    elif name == "RandomTreesEmbedding":
        yield (
            f"{name} has sparse outputs, which the converter doesn't know",
            "fit the model without it",
        )
    elif not _is_known(step):
        yield f"{name}: the converter doesn't know it", REMEDIES.get(name, f"fit the model without {name}: {KNOWN}")


def _frame_faults(holder: Any) -> Iterator[tuple[str, str]]:
    """Yield the fault of an ensemble whose members choose columns of a data frame, where they get one tensor."""
    members = [] if voters(holder) else members_of(holder)
    for member in members:
        first = steps_of(member)[0]
        if hasattr(first, "transformers_") and has_names(first):
            name = type(holder).__name__
            yield (
                f"members of {name} choose columns of a data frame ({type(first).__name__})",
                f"fit it behind the ColumnTransformer: make_pipeline(ColumnTransformer(…), {name}(…))",
            )
            return


def _category_faults(part: Any, *, is_inner: bool) -> Iterator[tuple[str, str]]:
    """Yield the fault of trees that split by categories, which the converter takes for numbers, or gets as texts."""
    name = type(part).__name__
    if getattr(part, "is_categorical_", None) is not None:
        yield (
            f"{name} splits by categories, which the converter takes for numbers",
            "encode categories as numbers before it, with an OrdinalEncoder, and set categorical_features=None",
        )
    elif is_inner and getattr(getattr(part, "booster_", part), "pandas_categorical", None):
        yield (
            f"{name} was fitted to categories of a data frame behind other steps",
            "encode them as numbers before it, with an OrdinalEncoder; a model without other steps takes them",
        )


def _calibration_faults(holder: Any) -> Iterator[tuple[str, str]]:
    """Yield the fault of scores that are calibrated otherwise than by a sigmoid, which alone the converter knows.

    Of steps it takes the nearest one, where scikit-learn goes from one to the next in a line.
    """
    if getattr(holder, "calibrated_classifiers_", ()) and holder.method != "sigmoid":
        name = type(holder).__name__
        yield (
            f"{name} with method='{holder.method}': the converter's graph gives other scores",
            "fit it with method='sigmoid'",
        )


def _is_known(step: Any) -> bool:
    """Return whether the converter knows a step's class, or the step brings its own converter."""
    from skl2onnx._supported_operators import sklearn_operator_name_map

    return hasattr(step, "onnx_converter") or type(step) in sklearn_operator_name_map
