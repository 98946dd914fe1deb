"""Steps of scikit-learn that no graph does, or whose graph the converter writes wrongly: refused by name."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from onnxserve.errors import DefinitionError

from .model_parts import is_estimator, steps_of
from .pipeline_columns import voters
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
    "SplineTransformer": "fit a PolynomialFeatures or a KBinsDiscretizer",
}


def check_steps(model: Any) -> None:
    """Raise DefinitionError for steps without a right graph; it lists all causes, and the way out of each."""
    inner, _ = without_target(model)
    faults = [*target_fault(model), *_last_fault(inner)]
    faults += [fault for step in converted_steps(inner) for fault in _faults(step)]
    if faults:
        raise DefinitionError(
            "the model can't become a graph:\n" + "\n".join(dict.fromkeys(f"  {what}" for what, _ in faults)),
            fix="\n         ".join(dict.fromkeys(fix for _, fix in faults)),
        )


def converted_steps(part: Any) -> Iterator[Any]:
    """Yield the steps that the converter looks up by their class: those of pipelines, branches, unions and votes."""
    inner = [step for step in steps_of(part) if step is not part]
    inner += [branch for _, branch, _ in getattr(part, "transformers_", ())]
    inner += [branch for _, branch in getattr(part, "transformer_list", ())]
    inner += voters(part)
    for step in inner:
        yield from converted_steps(step)
    if not inner and is_estimator(part):
        yield part


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


def _is_known(step: Any) -> bool:
    """Return whether the converter knows a step's class, or the step brings its own converter."""
    from skl2onnx._supported_operators import sklearn_operator_name_map

    return hasattr(step, "onnx_converter") or type(step) in sklearn_operator_name_map
