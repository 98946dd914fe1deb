"""Multilabel: a prediction is every label whose score reaches the threshold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal, cast

import msgspec
import numpy as np
import numpy.typing as npt

from ..outputs import Array, Outputs
from ..signature import Schema, object_schema
from . import OutputOptions, TaskHooks, count_measure, f1, field_of, first_output
from .classification import best_scores, probabilities

Flags = npt.NDArray[np.bool_]
Share = Annotated[float, msgspec.Meta(ge=0, le=1)]


class MultilabelOptions(OutputOptions, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What turns outputs into labels and scores."""

    task: Literal["multilabel"] = "multilabel"
    """The first output has a number for each label, shape (rows, labels), and a row may have any number of labels."""
    labels: Annotated[tuple[str, ...], msgspec.Meta(min_length=1)]
    """Labels in the order of the graph's outputs."""
    activation: Literal["auto", "sigmoid", "none"] = "auto"
    """What makes scores of the outputs: `sigmoid` for logits, `none` where they are scores already.

    The export decides `auto` by the source's outputs: `none` if they all lie between 0 and 1, else `sigmoid`.
    """
    threshold: Share = 0.5
    """Least score of a label that is predicted."""

    logit_activation: ClassVar[str] = "sigmoid"


class Multilabel(TaskHooks):
    """All labels of each row whose scores reach the threshold, the best first."""

    output_options = MultilabelOptions
    quality_name = "F1 of the labels"
    agreement_name = "F1 of the labels"

    @property
    def output(self) -> MultilabelOptions:
        """The task's part of the signature."""
        return cast("MultilabelOptions", self.signature.output)

    def predictions(self, outputs: Outputs, rows: Sequence[Any] | None) -> list[Any]:  # noqa: ARG002 - a hook
        """Return `{"labels": [...], "scores": {label: score}}` per row; `scores` has all labels."""
        output = self.output
        predictions = []
        for row in self._scores(outputs):
            scores = best_scores(row, output.labels, 0)
            count = int((row >= output.threshold).sum())
            predictions.append({"labels": list(scores)[:count], "scores": scores})
        return predictions

    def prediction_schema(self) -> Schema:
        """Return the schema of an object with labels, and with the scores of all labels."""
        label: Schema = {"type": "string", "enum": [*self.output.labels]}
        score: Schema = {"type": "number", "minimum": 0, "maximum": 1}
        scores = {"type": "object", "additionalProperties": score}
        return object_schema({"labels": {"type": "array", "items": label}, "scores": scores}, ["labels", "scores"])

    def label(self, prediction: Any) -> str | None:
        """Return the best label, None where none reaches the threshold."""
        labels = field_of(prediction, "labels")
        return str(labels[0]) if isinstance(labels, list) and labels else None

    def score(self, prediction: Any) -> float | None:
        """Return the best label's score."""
        scores = field_of(prediction, "scores")
        return max(scores.values(), default=None) if isinstance(scores, dict) else None

    def prediction_measures(self, predictions: Sequence[Any]) -> Mapping[str, Array]:
        """Return the best scores and the numbers of labels."""
        return {**super().prediction_measures(predictions), **count_measure(predictions, "labels")}

    def unknown_labels(self, label: Any) -> list[str]:
        """Return the row's labels that the model doesn't have."""
        return sorted(label_set(label) - {*self.output.labels})

    def quality(
        self,
        outputs: Outputs,
        labels: Sequence[Any],
        origins: Sequence[Any] | None = None,  # noqa: ARG002 - a hook
    ) -> npt.NDArray[np.float64]:
        """Return each row's F1 beside its labels, which are a list, shape (rows,); 1 where both have none."""
        truth = [[name in label_set(label) for name in self.output.labels] for label in labels]
        return f1_of_flags(self._flags(outputs), np.array(truth, bool).reshape(len(labels), -1))

    def agreement(self, outputs: Outputs, reference: Outputs) -> npt.NDArray[np.float64]:
        """Return each row's F1 beside the source's labels, shape (rows,)."""
        return f1_of_flags(self._flags(outputs), self._flags(reference))

    def changes(self, outputs: Outputs, reference: Outputs) -> Flags:
        """Return where a label appears or disappears, shape (rows,)."""
        return np.asarray((self._flags(outputs) != self._flags(reference)).any(axis=1))

    def _scores(self, outputs: Outputs) -> npt.NDArray[np.float64]:
        activation = self.output.activation
        return probabilities(first_output(outputs), "sigmoid" if activation == "auto" else activation)

    def _flags(self, outputs: Outputs) -> Flags:
        return np.asarray(self._scores(outputs) >= self.output.threshold)


def label_set(label: Any) -> set[str]:
    """Return the labels of a row: a list of them, one, or none."""
    if label is None:
        return set()
    return {str(name) for name in label} if isinstance(label, list | tuple | set) else {str(label)}


def f1_of_flags(flags: Flags, truth: Flags) -> npt.NDArray[np.float64]:
    """Return the F1 of each row, shape (rows,), for flags of shape (rows, labels)."""
    return f1((flags & truth).sum(axis=1), flags.sum(axis=1) + truth.sum(axis=1))
