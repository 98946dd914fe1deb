"""outputs -> predictions: the hooks of a task, and the options that every task has; each module holds one task."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from ..errors import InvalidRow
from ..inputs import InputHooks
from ..outputs import Array, Outputs
from ..signature import OutputOptions, Schema, Signature

__all__ = ["Array", "Hooks", "OutputOptions", "Outputs", "TaskHooks"]

Flags = npt.NDArray[np.bool_]
ROUNDING = 1e-9  # of a quality from 0 to 1


class TaskHooks:
    """The hooks of a task, and what they may use; `Handler` calls them.

    `outputs` are all outputs of the graph by name, in its order, for some rows: arrays of shape (rows, ...) whose
    numbers are finite. Where a free axis beside the batch has another size for each row, `outputs.sizes` has the sizes
    by the axis's name, and elements beyond a row's own size are zero.
    """

    # The record of the task's options.
    output_options: ClassVar[type[OutputOptions]] = OutputOptions
    # What `quality` measures, in words; empty for a task of which labels say nothing.
    quality_name: ClassVar[str] = ""
    # What `agreement` measures, in words.
    agreement_name: ClassVar[str] = ""
    # What `ranking` measures, in words; empty for a task whose rows make no rankings.
    ranking_name: ClassVar[str] = ""
    # The least `quality` of an answer that is right: the source and the served graph give it to golden rows.
    least_quality: ClassVar[float] = 1.0
    # Whether predictions need to know where parts of a row stand in what the client sent, as tokens in a text do.
    reads_offsets: ClassVar[bool] = False

    signature: Signature  # what `signature.json` says: options, labels, tensors and limits

    def origins(self, rows: Sequence[Any]) -> Sequence[Any] | None:  # noqa: ARG002 - a hook
        """Return the input kind's origins of the rows; None for a task without one."""
        return None

    def predictions(self, outputs: Outputs, rows: Sequence[Any] | None) -> list[Any]:
        """Return one JSON value per row; `rows` are the checked rows, None where the client sent tensors."""
        raise NotImplementedError

    def proof_predictions(self, outputs: Outputs, origins: Sequence[Any] | None) -> list[Any]:  # noqa: ARG002 - a hook
        """Return the predictions of proof rows, with which drift compares; only the rows' origins are known."""
        return self.predictions(outputs, None)

    def prediction_schema(self) -> Schema:
        """Return the JSON schema of one prediction, for OpenAPI; an empty one allows everything."""
        return {}

    def parameter_schemas(self) -> Mapping[str, Schema]:
        """Return the JSON schemas of what a request may ask for, in `parameters` beside its rows."""
        return {}

    def check_parameters(self, parameters: Mapping[str, Any]) -> None:
        """Raise InvalidRow for a parameter that the task doesn't know, or for a bad value."""
        known = self.parameter_schemas()
        if unknown := sorted(set(parameters) - known.keys()):
            fix = f"it knows {', '.join(known)}" if known else "leave them out"
            raise InvalidRow(f"the model knows no parameters {unknown}", where="parameters", fix=fix)

    def apply_parameters(
        self,
        predictions: list[Any],
        outputs: Outputs,  # noqa: ARG002 - a hook
        parameters: Mapping[str, Any],  # noqa: ARG002 - a hook
    ) -> list[Any]:
        """Return a request's predictions as its parameters ask; `outputs` are those of the same rows."""
        return predictions

    # Monitoring: of a prediction -----------------------------------------------

    def label(self, prediction: Any) -> str | None:
        """Return the label of a prediction for drift, canary, shadow and log; None if it has none."""
        label = field_of(prediction, "label")
        return label if isinstance(label, str) else None

    def score(self, prediction: Any) -> float | None:
        """Return the number of a prediction that drift, canary, shadow and log compare; None if it has none."""
        score = field_of(prediction, "score")
        return float(score) if _is_number(score) and math.isfinite(score) else None

    def prediction_measures(self, predictions: Sequence[Any]) -> Mapping[str, Array]:
        """Return what drift compares with the archive's profile: numbers by measure, shape (predictions,).

        A measure of shape (predictions, width) is a space of embeddings, of which drift compares the main axes.
        """
        scores = [score for score in map(self.score, predictions) if score is not None]
        return {"score": np.array(scores)} if scores else {}

    # Proof: of labels and outputs ----------------------------------------------------------

    def unknown_labels(self, label: Any) -> list[str]:
        """Return what of a row's label the model can't predict."""
        known = self.signature.labels
        return [str(label)] if known and str(label) not in known else []

    def outputs_fault(self, outputs: Mapping[str, Array]) -> str:
        """Return why the task can't read such outputs, empty where it can; the export asks for the source's."""
        shape, labels = first_output(outputs).shape[1:], self.signature.labels
        fits = not labels or shape == (len(labels),)
        return "" if fits else f"the module gives {shape} outputs a row for {len(labels)} labels"

    def label_fault(self, label: Any) -> str:  # noqa: ARG002 - a hook
        """Return what to give for a row's label that no output can be compared with, empty where one can."""
        return ""

    def golden_fault(self, label: Any) -> str:
        """Return what to give for a golden row's label that no answer can be compared with, empty where one can."""
        if fault := self.label_fault(label):
            return fault
        unknown = self.unknown_labels(label)
        return f"{', '.join(map(repr, unknown))} is not among `labels`" if unknown else ""

    def quality(
        self, outputs: Outputs, labels: Sequence[Any], origins: Sequence[Any] | None = None
    ) -> npt.NDArray[np.float64]:
        """Return how right each row's outputs are beside its label, from 0 to 1, shape (rows,).

        Tasks with a `quality_name` have it. `origins` are the input kind's, as JSON values; None for rows without any.
        """
        raise NotImplementedError

    def agreement(self, outputs: Outputs, reference: Outputs) -> npt.NDArray[np.float64]:
        """Return how like the source's outputs each row's outputs are, from 0 to 1, shape (rows,)."""
        raise NotImplementedError

    def query_of(self, instance: Any) -> str | None:  # noqa: ARG002 - a hook
        """Return the query of a row that pairs a query with a document, as a client sends it; None for another row."""
        return None

    def ranking(
        self, outputs: Outputs, labels: Sequence[Any], groups: Sequence[npt.NDArray[np.intp]]
    ) -> npt.NDArray[np.float64]:
        """Return how well each group of rows is ordered beside its labels, from 0 to 1; shape (groups,)."""
        raise NotImplementedError

    def score_agreement(self, outputs: Outputs, reference: Outputs) -> npt.NDArray[np.float64]:
        """Return how like the source's each row's score is, as clients get it, from 0 to 1, shape (rows,).

        Tasks whose labels rank have it.
        """
        raise NotImplementedError

    def right(
        self,
        outputs: Outputs,
        labels: Sequence[Any],
        origins: Sequence[Any] | None,
        scales: Mapping[str, Array],  # noqa: ARG002 - a hook
    ) -> Flags:
        """Return whether each golden row's answer is what its label says, shape (rows,).

        `scales` are the spreads of the source's outputs, by name. Labels of a task without a quality say nothing.
        """
        if not self.quality_name:
            return np.ones(len(labels), bool)
        return np.asarray(self.quality(outputs, labels, origins) >= self.least_quality - ROUNDING)

    def changes(self, outputs: Outputs, reference: Outputs) -> Flags:  # noqa: ARG002 - a hook
        """Return whether each row's answer differs from the source's in kind: another label, span, box or mask.

        Shape (rows,). Answers that are numbers differ by their deviation alone.
        """
        return np.zeros(len(first_output(outputs)), bool)


class Hooks(InputHooks, TaskHooks):
    """The hooks of an input kind and of a task."""


def field_of(prediction: Any, name: str) -> Any:
    """Return a field of a prediction that is an object, None if it lacks it."""
    if isinstance(prediction, Mapping):
        return prediction.get(name)
    return getattr(prediction, name, None)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def count_measure(predictions: Sequence[Any], name: str) -> Mapping[str, Array]:
    """Return the lengths of the predictions' lists of this name as a measure, shape (predictions with one,).

    There is no measure where no prediction has such a list.
    """
    counts = [len(entries) for row in predictions if isinstance(entries := field_of(row, name), list)]
    return {name: np.array(counts)} if counts else {}


def f1(common: npt.ArrayLike, total: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Return twice what both sides have in common over the sum of what each has, in the arguments' shape.

    It is 1 where both have nothing. L. Dice, "Measures of the amount of ecologic association between species", Ecology
    26 (1945).
    """
    return np.asarray(np.where(np.equal(total, 0), 1.0, 2 * np.asarray(common) / np.maximum(total, 1)))


def flat(array: Array) -> npt.NDArray[np.float64]:
    """Return an output with one list of values a row, shape (rows, values)."""
    return array.reshape(len(array), -1).astype(np.float64)


def first_output(outputs: Mapping[str, Array]) -> Array:
    """Return the graph's first output, shape (rows, ...)."""
    return next(iter(outputs.values()))
