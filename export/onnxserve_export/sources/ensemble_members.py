"""The steps and members of a model that skl2onnx looks up by their class, and the best models of searches within it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from .model_parts import TARGET, is_booster, is_estimator, parts, steps_of

# Models whose members are steps of the graph, by the beginning of their names, and the fields that hold these. Other
# models write nodes of their members themselves, as forests do, or read what these learnt, as choosers of columns do.
MEMBERS = {
    "Voting": ("estimators_",),
    "Stacking": ("estimators_", "final_estimator_"),
    "Bagging": ("estimators_",),
    "AdaBoost": ("estimators_",),
    "OneVs": ("estimators_",),
    "MultiOutput": ("estimators_",),
    "RANSAC": ("estimator_",),
    "TunedThreshold": ("estimator_",),
}
BEST = "best_estimator_"


def converted_steps(part: Any) -> Iterator[Any]:
    """Yield what the converter looks up by its class: steps of pipelines, branches and unions, ensembles, members."""
    inner = [*_containers(part)]
    members = members_of(part)
    for step in (*inner, *members):
        yield from converted_steps(step)
    if type(part).__name__ == TARGET or (not inner and (is_estimator(part) or is_booster(part))):
        yield part


def _containers(part: Any) -> Iterator[Any]:
    """Yield the steps of a model that is nothing but its steps."""
    yield from (step for step in steps_of(part) if step is not part)
    yield from (branch for _, branch, _ in getattr(part, "transformers_", ()))
    yield from (branch for _, branch in getattr(part, "transformer_list", ()))
    if (best := getattr(part, BEST, None)) is not None:
        yield best


def members_of(part: Any) -> list[Any]:
    """Return the fitted members of an ensemble that become steps of the graph."""
    calibrated = [member.estimator for member in getattr(part, "calibrated_classifiers_", ())]
    name = type(part).__name__
    fields = next((fields for start, fields in MEMBERS.items() if name.startswith(start)), ())
    held = [value for field in fields for value in _listed(getattr(part, field, None))]
    return [member for member in (*calibrated, *held) if is_estimator(member)]


def _listed(value: Any) -> list[Any]:
    return [*value] if isinstance(value, list | tuple) else [value]


def is_search(value: Any) -> bool:
    """Return whether a value is a search of parameters, which answers as its best model."""
    return hasattr(value, BEST)


def without_searches(model: Any) -> Any:
    """Let the best model of each search within a model take its place; the model itself may be a search too."""
    model = best_of(model)
    for holder in (model, *parts(model)):
        for field, value in list(getattr(holder, "__dict__", {}).items()):
            if (best := best_of(value)) is not value:
                setattr(holder, field, best)
    return model


def best_of(value: Any) -> Any:
    """Return a value with searches replaced, also in lists and tuples; the same object where there are none."""
    while is_search(value):
        value = getattr(value, BEST)
    if isinstance(value, list | tuple):
        replaced = [best_of(entry) for entry in value]
        if any(best is not entry for best, entry in zip(replaced, value, strict=True)):
            return type(value)(replaced)
    return value
