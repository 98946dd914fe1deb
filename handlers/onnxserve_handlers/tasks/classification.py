"""Classification: a prediction is the best label with its score."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal, cast

import msgspec
import numpy as np
import numpy.typing as npt

from ..errors import InvalidRow
from ..outputs import FEW, Outputs
from ..protocols.body import json_type
from ..signature import Schema, object_schema
from . import OutputOptions, TaskHooks, first_output

DIGITS = 6  # decimals of a score
SOFTMAX = ("auto", "softmax")  # activations; an export replaces `auto`, other archives leave it


class ClassificationOptions(OutputOptions, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What turns outputs into labels and scores."""

    task: Literal["classification"] = "classification"
    """The first output has a number for each label, shape (rows, labels); a prediction is the best label."""
    labels: Annotated[tuple[str, ...], msgspec.Meta(min_length=1)]
    """Labels in the order of the graph's outputs."""
    activation: Literal["auto", "softmax", "sigmoid", "none"] = "auto"
    """What makes scores of the outputs: `softmax` or `sigmoid` for logits, `none` where they are scores already.

    The export decides `auto` by the source's outputs: `none` if they all lie between 0 and 1, else `softmax`.
    """
    top_k: Annotated[int, msgspec.Meta(ge=0)] = 1
    """Labels with their scores in a prediction [labels]: 1 for the best alone, 0 for all; more are in `scores`."""

    logit_activation: ClassVar[str] = "softmax"
    tensors: ClassVar[tuple[str, ...]] = ("label", "score")


class Classification(TaskHooks):
    """The best label of each row with its score."""

    output_options = ClassificationOptions
    quality_name = "accuracy"
    agreement_name = "share of equal labels"

    @property
    def output(self) -> ClassificationOptions:
        """The task's part of the signature."""
        return cast("ClassificationOptions", self.signature.output)

    def predictions(self, outputs: Outputs, rows: Sequence[Any] | None) -> list[Any]:  # noqa: ARG002 - a hook
        """Return `{"label": ..., "score": ...}` per row."""
        output = self.output
        predictions = classify_rows(first_output(outputs), output.labels, output.activation)
        return predictions if output.top_k == 1 else self._with_scores(predictions, outputs, output.top_k)

    def parameter_schemas(self) -> Mapping[str, Schema]:
        """Return the schema of `top_k`, a number of labels, 0 for all."""
        return {"top_k": {"type": "integer", "minimum": 0}}

    def check_parameters(self, parameters: Mapping[str, Any]) -> None:
        """Raise InvalidRow for any parameter but `top_k`, a number of labels."""
        super().check_parameters(parameters)
        top_k = parameters.get("top_k", 1)
        if type(top_k) is not int or top_k < 0:
            given = "a number below 0" if type(top_k) is int else json_type(top_k)
            fix = "send a number of labels, 0 for all"
            raise InvalidRow(f"expected a whole number, got {given}", where="parameters.top_k", fix=fix)

    def apply_parameters(self, predictions: list[Any], outputs: Outputs, parameters: Mapping[str, Any]) -> list[Any]:
        """Return the predictions with the scores of the `top_k` best labels, of all with 0."""
        return self._with_scores(predictions, outputs, parameters["top_k"])

    def _with_scores(self, predictions: list[Any], outputs: Outputs, count: int) -> list[Any]:
        scores = probabilities(first_output(outputs), self.output.activation)
        return [
            {**prediction, "scores": best_scores(row, self.output.labels, count)}
            for prediction, row in zip(predictions, scores, strict=True)
        ]

    def prediction_schema(self) -> Schema:
        """Return the schema of an object of a label and its score, and of more scores by label where there are any."""
        score: Schema = {"type": "number", "minimum": 0, "maximum": 1}
        fields: Schema = {"label": {"type": "string", "enum": [*self.output.labels]}, "score": score}
        required = [*fields] if self.output.top_k == 1 else [*fields, "scores"]
        scores: Schema = {"type": "object", "additionalProperties": score}  # a request may ask for them
        return object_schema({**fields, "scores": scores}, required)

    def quality(
        self,
        outputs: Outputs,
        labels: Sequence[Any],
        origins: Sequence[Any] | None = None,  # noqa: ARG002 - a hook
    ) -> npt.NDArray[np.float64]:
        """Return 1 where the best label is the row's, else 0, shape (rows,)."""
        index = {label: number for number, label in enumerate(self.output.labels)}
        truth = np.array([index[str(label)] for label in labels], np.intp)
        return np.asarray(first_output(outputs).argmax(axis=-1) == truth, np.float64)

    def right(
        self,
        outputs: Outputs,
        labels: Sequence[Any],
        origins: Sequence[Any] | None,
        scales: Mapping[str, npt.NDArray[Any]],  # noqa: ARG002 - a hook
    ) -> npt.NDArray[np.bool_]:
        """Return whether the best label is the golden row's, shape (rows,), whatever a handler counts as quality."""
        return np.asarray(Classification.quality(self, outputs, labels, origins) == 1)

    def agreement(self, outputs: Outputs, reference: Outputs) -> npt.NDArray[np.float64]:
        """Return 1 where the best label is the source's, else 0, shape (rows,)."""
        return np.asarray(~self.changes(outputs, reference), np.float64)

    def changes(self, outputs: Outputs, reference: Outputs) -> npt.NDArray[np.bool_]:
        """Return where the best label is another one, shape (rows,)."""
        return np.asarray(np.not_equal(*(first_output(arrays).argmax(axis=-1) for arrays in (outputs, reference))))


def classify_rows(
    outputs: npt.NDArray[Any], labels: tuple[str, ...], activation: str = "softmax"
) -> list[dict[str, Any]]:
    """Return the best label and its score for each row of `outputs`, shape (rows, labels).

    Outputs are logits, or scores already if the activation is `none`.
    """
    if outputs.size <= FEW and activation in SOFTMAX:
        pairs: Iterable[tuple[int, float]] = map(_best_label, outputs.tolist())
    else:
        places, scores = best_labels(outputs, activation)
        pairs = zip(places.tolist(), scores.tolist(), strict=True)
    return [{"label": labels[index], "score": score} for index, score in pairs]


def _best_label(row: list[float]) -> tuple[int, float]:
    """Return `best_labels` of one row of logits; numpy's calls alone would take ten times as long."""
    top = max(row)
    return row.index(top), round(1 / sum([math.exp(value - top) for value in row]), DIGITS)


def best_labels(
    outputs: npt.NDArray[Any], activation: str = "softmax"
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.float64]]:
    """Return the index of each row's maximum and its score, for `outputs` of shape (rows, labels).

    Softmax subtracts the maximum first, so that exp can't overflow.
    """
    places = outputs.argmax(axis=-1)
    values = outputs.T.astype(np.float64, order="C")  # a contiguous array per label, so that reductions run over rows
    if activation not in SOFTMAX:
        return places, np.round(probabilities(values.max(axis=0), activation), DIGITS)
    values -= values.max(axis=0)
    return places, np.round(1 / np.exp(values).sum(axis=0), DIGITS)


def probabilities(outputs: npt.NDArray[Any], activation: str = "softmax") -> npt.NDArray[np.float64]:
    """Return the score of each label, in the outputs' shape; softmax is over the last axis."""
    values = outputs.astype(np.float64)
    if activation == "none":
        return values
    if activation == "sigmoid":
        return np.asarray(np.exp(-np.logaddexp(0, -values)))  # neither exp can overflow
    values = np.exp(values - values.max(axis=-1, keepdims=True))  # shifted, so that exp can't overflow
    return np.asarray(values / values.sum(axis=-1, keepdims=True))


def best_scores(scores: npt.NDArray[np.float64], labels: Sequence[str], count: int) -> dict[str, float]:
    """Return the scores of the `count` best labels, of all with 0, the best first; `scores` has the shape (labels,)."""
    order = np.argsort(-scores, kind="stable")[: count or None]
    return {labels[index]: round(float(scores[index]), DIGITS) for index in order.tolist()}
