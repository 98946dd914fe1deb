"""The class that serves an archive: an input kind, a task and the batch loop; or a handler of a user's own.

Handlers of earlier versions derived from a kind and a task in one, such as `TextClassifier`, and their hook
`predictions(self, outputs)` got the first output's array. They still do.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Mapping, Sequence
from functools import cache, cached_property
from typing import Any

import numpy as np

from .handler import Handler
from .inputs import InputHooks
from .outputs import Array, Outputs
from .registry import input_kind, task, task_alone
from .signature import Schema, Signature
from .tasks import TaskHooks, first_output

FORMER = {  # input kinds by the classes of earlier versions, and whether a feature store completes the rows
    "TextClassifier": ("text", False),
    "ImageClassifier": ("image", False),
    "TabularClassifier": ("table", False),
    "JoinedClassifier": ("table", True),
}


def bases(kind: str, task_name: str, own: type[Handler] | None = None, *, features: bool = False) -> tuple[type, ...]:
    """Return the base classes of the service; the kind and the task complete a handler of a user's own."""
    rows, predictions = input_kind(kind, features=features), task(task_name)
    if own is None:
        return rows, predictions, Handler
    return (
        own,
        *([rows] if own.tensors is InputHooks.tensors and rows is not InputHooks else []),
        *([FormerTask] if takes_one_output(own) and not issubclass(own, FormerTask) else []),
        *([predictions] if own.predictions is TaskHooks.predictions and predictions is not TaskHooks else []),
    )


def service_class(signature: Mapping[str, Any]) -> type[Handler]:
    """Return the class that `service.py` of an archive has, for its `signature.json`."""
    module, _, name = str(signature["handler"]).partition(":")
    own = getattr(importlib.import_module(f".{module}", __package__), name) if module else None
    kind, task_name = signature["input"]["kind"], signature["output"]["task"]
    chosen = bases(kind, task_name, own, features=bool(signature.get("features")))
    service: type[Handler] = type("Service", chosen, {})
    return service


def takes_one_output(handler: type[TaskHooks]) -> bool:
    """Return whether `predictions` takes the first output alone."""
    return len(inspect.signature(handler.predictions).parameters) == 2


class FormerTask(TaskHooks):
    """The task of the signature, of which subclasses may override `predictions` for the first output alone."""

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if takes_one_output(cls):
            cls.predictions = with_all_outputs(cls.predictions)  # type: ignore[method-assign]

    @staticmethod
    def task_name(signature: Signature) -> str:
        """Return the task's name: without one, labels where the model has any, else values."""
        return signature.output.task or ("classification" if signature.labels else "regression")

    @cached_property
    def task(self) -> TaskHooks:
        """The task itself, made once: predictions are scored one by one."""
        return task_alone(self.task_name(self.signature), self.signature)

    def predictions(self, outputs: Outputs | Array, rows: Sequence[Any] | None = None) -> list[Any]:
        """Return the predictions for all outputs, or for the first one as an array."""
        return self.task.predictions(Outputs(first=outputs) if isinstance(outputs, np.ndarray) else outputs, rows)

    def right(
        self,
        outputs: Outputs,
        labels: Sequence[Any],
        origins: Sequence[Any] | None,
        scales: Mapping[str, Array],
    ) -> Array:
        """Return whether the task's answers are what golden rows' labels say."""
        return self.task.right(outputs, labels, origins, scales)

    def prediction_schema(self) -> Schema:
        """Return the task's schema."""
        return self.task.prediction_schema()

    def score(self, prediction: Any) -> float | None:
        """Return the task's score."""
        return self.task.score(prediction)

    def prediction_measures(self, predictions: Sequence[Any]) -> Mapping[str, Array]:
        """Return the task's measures."""
        return self.task.prediction_measures(predictions)


def with_all_outputs(predictions: Callable[[Any, Any], list[Any]]) -> Callable[..., list[Any]]:
    """Return the hook for all outputs that gives the hook of an earlier version the first output."""

    def adapted(self: Any, outputs: Outputs | Array, _rows: Sequence[Any] | None = None) -> list[Any]:
        return predictions(self, outputs if isinstance(outputs, np.ndarray) else first_output(outputs))

    return adapted


@cache
def former_class(name: str) -> type[Handler]:
    """Return a class of an earlier version by its name; AttributeError for any other name."""
    if name not in FORMER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    kind, features = FORMER[name]
    former: type[Handler] = type(name, (input_kind(kind, features=features), FormerTask, Handler), {})
    return former


def __getattr__(name: str) -> type[Handler]:
    return former_class(name)
