"""Raw: a prediction is every output of the graph."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt

from ..inputs.tensors_measures import spread_measures
from ..outputs import Array, Outputs
from ..signature import Schema, object_schema
from . import OutputOptions, TaskHooks, field_of, flat
from .regression import MOST_VALUES, closeness, is_near, leading_numbers, numbers, round_significant, weighted_sum

SAME = 0.01  # spreads between a golden row's output and that of its label
MOST_MEASURED = 100  # numbers of an output that drift looks at, which bounds the time


class RawOptions(OutputOptions, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """There is nothing to choose."""

    task: Literal["raw"] = "raw"
    """A prediction has all outputs of the graph, by name and as nested lists."""

    numeric_labels: ClassVar[bool] = False


class Raw(TaskHooks):
    """All outputs of each row, each of the row's own size."""

    output_options = RawOptions
    agreement_name = "1 less the error in spreads"

    def predictions(self, outputs: Outputs, rows: Sequence[Any] | None) -> list[Any]:  # noqa: ARG002 - a hook
        """Return `{"outputs": {name: nested lists}}` per row."""
        rounded = outputs.replace({name: _round(array) for name, array in outputs.items()})
        count = len(next(iter(outputs.values())))
        return [
            {"outputs": {name: array.tolist() for name, array in rounded.row(index).items()}} for index in range(count)
        ]

    def prediction_schema(self) -> Schema:
        """Return the schema of an object with the outputs by name; one of rank 1 is a number or a boolean."""
        value: Schema = {"type": ["array", "number", "boolean"]}
        names = [tensor.name for tensor in self.signature.outputs]
        return object_schema({"outputs": object_schema(dict.fromkeys(names, value), names)}, ["outputs"])

    def score(self, prediction: Any) -> float | None:
        """Return a sum with fixed weights of the outputs' first numbers, in which any change of them shows."""
        outputs = field_of(prediction, "outputs")
        return weighted_sum(leading_numbers([*outputs.values()])) if isinstance(outputs, Mapping) else None

    def prediction_measures(self, predictions: Sequence[Any]) -> Mapping[str, Array]:
        """Return the scores, and mean and spread of each of the first outputs by name, shape (predictions,)."""
        rows = [outputs for row in predictions if isinstance(outputs := field_of(row, "outputs"), Mapping)]
        measures = dict(super().prediction_measures(predictions))
        for name in islice(rows[0] if rows else (), MOST_VALUES):
            numbers_of_rows = [leading_numbers(outputs[name], MOST_MEASURED) for outputs in rows]
            measures |= spread_measures(f"outputs.{name}", numbers_of_rows)
        return measures

    def golden_fault(self, label: Any) -> str:
        """Return why a golden row's label has no outputs by name."""
        fits = isinstance(label, Mapping) and all(numbers(values) is not None for values in label.values())
        return "" if fits else "give outputs by name, {name: nested lists}, or no label"

    def right(
        self,
        outputs: Outputs,
        labels: Sequence[Any],
        origins: Sequence[Any] | None,  # noqa: ARG002 - a hook
        scales: Mapping[str, Array],
    ) -> npt.NDArray[np.bool_]:
        """Return whether each row's outputs are those of its label, to a hundredth of their spread, shape (rows,)."""
        return np.array(
            [
                all(name in row and is_near(row[name], values, scales[name], SAME) for name, values in label.items())
                for row, label in zip(map(outputs.row, range(len(labels))), labels, strict=True)
            ],
            bool,
        )

    def agreement(self, outputs: Outputs, reference: Outputs) -> npt.NDArray[np.float64]:
        """Return the least closeness of each row's outputs, shape (rows,): 1 less the error in spreads, at least 0."""
        each = [closeness(flat(outputs[name]), flat(array)) for name, array in reference.items()]
        return np.asarray(np.min(each, axis=0))


def _round(array: Array) -> Array:
    return round_significant(array.astype(np.float64)) if array.dtype.kind == "f" else array
