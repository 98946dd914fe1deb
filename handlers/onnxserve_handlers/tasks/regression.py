"""Regression: a prediction is the row's values."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from ..outputs import Array, Outputs
from ..signature import Schema, object_schema
from . import OutputOptions, TaskHooks, field_of, first_output, flat

SIGNIFICANT = 7  # significant digits of a value: a float32 holds no more
ROUNDING = 2.0**-12  # of a magnitude
VALUE = "value."  # begins the names of the measures, one for each value
MOST_VALUES = 8  # of a row that drift compares one by one; more are an embedding
MOST_LEADING = 1000  # numbers of an answer that its score is made of, which bounds the time
POWERS = np.array([float(f"1e{exponent}") for exponent in range(300)])  # correctly rounded, which `**` needn't be


class RegressionOptions(OutputOptions, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What the values are."""

    task: Literal["regression"] = "regression"
    """The first output has the row's values, shape (rows, ...); a prediction is all of them in one list."""


class Regression(TaskHooks):
    """The values of each row with as many digits as a float32 holds."""

    output_options = RegressionOptions
    quality_name = "1 less the error in spreads"
    agreement_name = "1 less the error in spreads"

    def predictions(self, outputs: Outputs, rows: Sequence[Any] | None) -> list[Any]:  # noqa: ARG002 - a hook
        """Return `{"values": [...]}` per row."""
        return plain_rows(first_output(outputs))

    def prediction_schema(self) -> Schema:
        """Return the schema of an object with a list of numbers."""
        return object_schema({"values": {"type": "array", "items": {"type": "number"}}}, ["values"])

    def score(self, prediction: Any) -> float | None:
        """Return the value, or of several values a sum with fixed weights, in which any change of them shows."""
        values = field_of(prediction, "values")
        return weighted_sum(leading_numbers(values)) if isinstance(values, list) else super().score(prediction)

    def prediction_measures(self, predictions: Sequence[Any]) -> Mapping[str, Array]:
        """Return each value as a measure, shape (predictions,); many values are a space of embeddings."""
        return value_measures([field_of(prediction, "values") for prediction in predictions])

    def golden_fault(self, label: Any) -> str:
        """Return why a golden row's label is no number and no list of numbers."""
        return "" if numbers(label) is not None else "give a number, or a list of numbers"

    def right(
        self,
        outputs: Outputs,
        labels: Sequence[Any],
        origins: Sequence[Any] | None,  # noqa: ARG002 - a hook
        scales: Mapping[str, Array],
    ) -> npt.NDArray[np.bool_]:
        """Return whether each row's values lie within one spread of those that its label has, shape (rows,)."""
        [name, first], *_ = outputs.items()
        return np.array([is_near(row, label, scales[name]) for row, label in zip(flat(first), labels, strict=True)])

    def quality(
        self,
        outputs: Outputs,
        labels: Sequence[Any],
        origins: Sequence[Any] | None = None,  # noqa: ARG002 - a hook
    ) -> npt.NDArray[np.float64]:
        """Return 1 less the error beside the labels, in spreads of the labels, at least 0, shape (rows,)."""
        values = flat(first_output(outputs))
        return closeness(values, np.asarray(labels, np.float64).reshape(values.shape))

    def agreement(self, outputs: Outputs, reference: Outputs) -> npt.NDArray[np.float64]:
        """Return 1 less the error beside the source's values, in their spreads, at least 0, shape (rows,)."""
        return closeness(flat(first_output(outputs)), flat(first_output(reference)))


def numbers(label: Any) -> npt.NDArray[np.float64] | None:
    """Return a label's numbers in one list, shape (values,), None if it isn't made of numbers."""
    try:
        values = np.asarray(label)
    except ValueError:  # lists of different lengths
        return None
    return values.reshape(-1).astype(np.float64) if values.dtype.kind in "iuf" else None


def is_near(values: Array, label: Any, scale: Array, spreads: float = 1.0) -> bool:
    """Return whether values lie within `spreads` of a label's numbers, as many of them; `scale` is one spread."""
    truth, own = numbers(label), values.reshape(-1).astype(np.float64)
    return truth is not None and truth.shape == own.shape and bool((np.abs(own - truth) <= spreads * scale).all())


def leading_numbers(value: Any, most: int = MOST_LEADING) -> npt.NDArray[np.float64]:
    """Return the first numbers of nested lists, at most `most`, shape (numbers,)."""
    return np.fromiter(islice(_numbers_in(value), most), np.float64)


def _numbers_in(value: Any) -> Iterator[float]:
    if isinstance(value, list):
        for entry in value:
            yield from _numbers_in(entry)
    elif isinstance(value, int | float):  # a handler of a user's own may answer anything
        yield value


def weighted_sum(values: npt.NDArray[np.float64]) -> float | None:
    """Return one number for many: the cosine of a value's place is its weight, and that of the first one is 1.

    No weight is 0 and no two are equal, so values that move or change places give another sum. None without values, and
    where they are too large for a finite sum.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        total = float(values @ np.cos(np.arange(len(values))))
    return total if len(values) and math.isfinite(total) else None


def plain_rows(values: Array) -> list[dict[str, Any]]:
    """Return one flat list of values per row."""
    return [{"values": row} for row in round_significant(flat(values)).tolist()]


def closeness(values: npt.NDArray[np.float64], truth: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return 1 less each row's root mean square error in spreads of `truth`, at least 0; both (rows, values).

    Values that hardly change have a part of their magnitude as spread, else a float's rounding would be an error.
    """
    floor = ROUNDING * np.abs(truth).max(axis=0, initial=0.0) + np.finfo(np.float64).tiny
    spread = np.maximum(truth.std(axis=0), floor)
    errors = np.sqrt(np.mean(((values - truth) / spread) ** 2, axis=1))
    return np.asarray(np.clip(1 - np.nan_to_num(errors, nan=1.0), 0, 1))


def value_measures(rows: Sequence[Any]) -> Mapping[str, Array]:
    """Return lists of values as measures: one for each value, or one of shape (rows, width) for many values."""
    values = np.array([row for row in rows if isinstance(row, list)], np.float64)
    if not values.size:
        return {}
    if values.shape[1] > MOST_VALUES:
        return {"embedding": values}
    return {f"{VALUE}{index}": column for index, column in enumerate(values.T)}


def compared_values(task: TaskHooks, prediction: Any) -> list[float] | None:
    """Return the few values of a regression's prediction, which a canary and a drift report compare one by one."""
    if not isinstance(field_of(prediction, "values"), list):
        return None
    measures = task.prediction_measures([prediction]).items()
    return [float(column[0]) for name, column in measures if name.startswith(VALUE)] or None


def round_significant(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Round each value of any shape to `SIGNIFICANT` digits, however small it is; digits before the point all stay."""
    with np.errstate(divide="ignore"):
        magnitudes = np.nan_to_num(np.floor(np.log10(np.abs(values))))  # 0 and values that aren't finite stay as is
    scales = POWERS[np.clip(SIGNIFICANT - 1 - magnitudes, 0, len(POWERS) - 1).astype(np.intp)]
    return np.asarray(np.round(values * scales) / scales)
