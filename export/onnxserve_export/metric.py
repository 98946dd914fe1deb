"""A metric of the definition's own: one score a row, within a range that bounds the rows that nobody saw."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from onnxserve.definition import Definition
from onnxserve.errors import DefinitionError

from .arrays import Array, Arrays, main
from .user_code import find_function


@dataclass(frozen=True)
class Metric:
    """`quantise.metric` on rows with these labels; it gets the main output, and its scores lie in `low` to `high`."""

    definition: Definition
    labels: Sequence[Any]

    @property
    def width(self) -> float:
        """The width of the range."""
        low, high = self.definition.quantise.metric_range
        return high - low

    def __call__(self, outputs: Arrays) -> Array:
        """Return each row's score, shape (rows,); DefinitionError for another shape or a score outside the range."""
        reference, (low, high) = self.definition.quantise.metric, self.definition.quantise.metric_range
        function = find_function(reference, self.definition.folder)
        values = main(outputs)
        scores: Any = np.asarray(function(values, list(self.labels)), dtype=np.float64)
        if scores.shape != (len(values),):
            raise DefinitionError(
                f"{reference} gives shape {scores.shape} for {len(values)} rows",
                where="quantise.metric",
                fix="give one score a row, higher is better",
            )
        beyond = np.flatnonzero(~((scores >= low) & (scores <= high)))
        if len(beyond):
            raise DefinitionError(
                f"{reference} gives {scores[beyond[0]]:g} for row {beyond[0]}, outside {low:g} to {high:g}",
                where="quantise.metric_range",
                fix="set the range that scores may have, or clip them: without one no number of rows bounds a mean",
            )
        return np.asarray(scores)
