"""Many rows at once, for batch scoring: the stages of `handle` on arrays instead of requests, with equal results.

`onnxserve batch` imports this module from an archive by its name, so `Bulk`, `Scored` and their public attributes are
part of the archive's format.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from .composition import FormerTask
from .errors import RequestError, guard, isolate
from .handler import Handler
from .offline import OfflineContext, make_handler
from .outputs import Array, Outputs, drop_rows, join, not_finite, rows_not_finite
from .registry import task
from .tasks import first_output
from .tasks.classification import Classification, best_labels
from .tasks.regression import Regression
from .trust.model import check_golden, read_golden

Form = Literal["labels", "values", "words"]
COLUMNAR_ROWS = 1024  # of a batch without padding: larger ones are hardly faster, smaller ones are slower


class Scored(NamedTuple):
    """The results of some rows; every array has one entry for each row of `kept`."""

    kept: npt.NDArray[np.intp]  # indices of the rows that have a prediction, ascending
    outputs: Outputs  # of the graph
    label: npt.NDArray[np.intp] | None  # index among the signature's labels
    score: npt.NDArray[np.float64] | None
    predictions: list[Any] | None  # instead of label and score, without labels or with a handler's own predictions
    errors: dict[int, RequestError]  # of the other rows, by index


class Bulk:
    """One archive, ready to score rows."""

    def __init__(self, folder: Path, config: Mapping[str, Any], batch: int = 0, gpu_id: int | None = None) -> None:
        """Load an unpacked archive, and check its golden rows in batches of `batch`, 0 for the archive's own size."""
        self.handler = make_handler(folder)
        context = OfflineContext(folder, {"handler": {**config, "deduplicate": False}})
        context.system_properties["gpu_id"] = gpu_id
        self.handler.initialize(context)
        self.columns = self.handler.signature.input.column_names if self.handler.columnar() else ()
        self.form = form_of(self.handler)
        self.batch = batch or (COLUMNAR_ROWS if self.columns else self.handler.signature.max_batch)
        self.handler.resize(self.batch)
        self.deviation = check_golden(read_golden(folder), self._run_full_batches)

    def score_values(self, values: Sequence[Any]) -> Scored:
        """Score rows that are instances, as in requests."""
        rows = self.handler.check_all(values, range(len(values)))
        errors = {index: row for index, row in enumerate(rows) if isinstance(row, RequestError)}
        kept = [index for index in range(len(rows)) if index not in errors]
        outputs = guard(partial(self.handler.infer, [rows[index] for index in kept])) if kept else Outputs()
        if isinstance(outputs, RequestError):  # a row makes the batch fail: halve it until that row is alone
            each = isolate([rows[index] for index in kept], self._infer_rows)
            errors |= {index: row for index, row in zip(kept, each, strict=True) if isinstance(row, RequestError)}
            kept = [index for index in kept if index not in errors]
            outputs = join([row for row in each if not isinstance(row, RequestError)])
        return self._make_scored(np.array(kept, np.intp), outputs, errors, [rows[index] for index in kept])

    def score_columns(self, columns: Mapping[str, Array]) -> Scored:
        """Score rows that are one array of numbers per column of the signature; a missing number is NaN."""
        tensors, valid = self.handler.check_columns(columns)
        errors = {int(index): self._error_of(columns, int(index)) for index in np.flatnonzero(~valid)}
        if errors:
            tensors = {name: array[valid] for name, array in tensors.items()}
        kept = np.flatnonzero(valid)
        outputs = guard(partial(self.handler.infer_tensors, tensors)) if len(kept) else Outputs()
        if isinstance(outputs, RequestError):
            return self.score_values([self._instance(columns, index) for index in range(len(valid))])
        return self._make_scored(kept, outputs, errors, None)

    def _infer_rows(self, rows: Sequence[Any]) -> list[Outputs]:
        outputs = self.handler.infer(rows)
        return [outputs.take(slice(index, index + 1)) for index in range(len(rows))]

    def _instance(self, columns: Mapping[str, Array], index: int) -> list[float | None]:
        values = [float(columns[name][index]) for name in self.columns]
        return [None if value != value else value for value in values]  # noqa: PLR0124 - NaN

    def _error_of(self, columns: Mapping[str, Array], index: int) -> RequestError:
        """Return the error that a request with this row would get."""
        row = guard(partial(self.handler.check, self._instance(columns, index), f"instances[{index}]"))
        if isinstance(row, RequestError):
            return row
        raise ValueError(f"row {index} is refused in an array and accepted alone")

    def _make_scored(
        self,
        kept: npt.NDArray[np.intp],
        outputs: Outputs,
        errors: dict[int, RequestError],
        rows: Sequence[Any] | None,
    ) -> Scored:
        label = score = predictions = None
        if bad_rows := rows_not_finite(outputs):
            errors |= {int(index): not_finite(int(index)) for index in kept[bad_rows]}
            kept, outputs = np.delete(kept, bad_rows), drop_rows(outputs, bad_rows)
            rows = None if rows is None else [row for index, row in enumerate(rows) if index not in bad_rows]
        if len(kept):
            if self.form == "labels":
                output = self.handler.signature.output
                label, score = best_labels(first_output(outputs), getattr(output, "activation", "auto"))
            else:
                predictions = self.handler.predictions(outputs, rows)
        return Scored(kept, outputs, label, score, predictions, errors)

    def _run_full_batches(self, values: list[Any]) -> Outputs:
        """Return the outputs for golden rows that are repeated to fill a batch."""
        repeated = [values[index % len(values)] for index in range(max(self.batch, len(values)))]
        return self.handler.every_output(repeated).take(slice(len(values)))


def form_of(handler: Handler) -> Form:
    """Return what predictions are: a label with its score, a list of values, or anything else."""
    predictions: Any = type(handler).predictions
    if predictions is FormerTask.predictions:
        predictions = task(FormerTask.task_name(handler.signature)).predictions
    if predictions is Classification.predictions and getattr(handler.signature.output, "top_k", 1) == 1:
        return "labels"
    return "values" if predictions is Regression.predictions else "words"
