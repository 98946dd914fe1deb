"""Many rows at once, for batch scoring: the stages of `handle` on arrays instead of requests, and the same answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from .answers import not_finite, unanswered, without
from .errors import RequestError
from .handler import Handler
from .hooks import Outputs
from .offline import OfflineContext, make_handler
from .runtime.batching import chunks, guarded, isolate
from .tasks.classification import best_labels
from .trust.golden import check_golden, read_golden

Array = npt.NDArray[Any]
COLUMNAR_ROWS = 1024  # of a batch without padding: larger ones are hardly faster, smaller ones are


class Scored(NamedTuple):
    """What became of some rows; every array has one entry for each row of `kept`."""

    kept: npt.NDArray[np.intp]  # places of the rows that were answered, ascending
    outputs: Outputs  # the graph's
    label: npt.NDArray[np.intp] | None  # place in the signature's labels
    score: npt.NDArray[np.float64] | None
    predictions: list[Any] | None  # in place of label and score, where there are no labels or the handler words its own
    errors: dict[int, RequestError]  # of the other rows, by place


class Bulk:
    """One archive, ready to score."""

    def __init__(self, folder: Path, config: Mapping[str, Any], batch: int = 0, gpu_id: int | None = None) -> None:
        """`batch` is how many rows run together, 0 for the archive's choice; golden rows are proven with as many."""
        self.handler = make_handler(folder)
        context = OfflineContext(folder, {"handler": {**config, "deduplicate": False}})
        context.system_properties["gpu_id"] = gpu_id
        self.handler.initialize(context)
        kind = type(self.handler)
        self.columns = self.handler.signature.input.columns if self.handler.columnar() else ()
        self.words = kind.predictions is not Handler.predictions
        self.batch = batch or (COLUMNAR_ROWS if self.columns else self.handler.signature.max_batch)
        self.handler.resize(self.batch)
        self.deviation = check_golden(read_golden(folder), self._company)

    def score_values(self, values: Sequence[Any]) -> Scored:
        """Rows as instances, such as requests bring them."""
        rows = self.handler.check_all(values, range(len(values)))
        errors = {place: row for place, row in enumerate(rows) if isinstance(row, RequestError)}
        kept = [place for place in range(len(rows)) if place not in errors]
        found = guarded(partial(self.handler.infer, [rows[place] for place in kept])) if kept else {}
        if isinstance(found, RequestError):  # somebody spoils it for all: one by one, by halves
            alone = isolate([rows[place] for place in kept], self._alone)
            errors |= {place: one for place, one in zip(kept, alone, strict=True) if isinstance(one, RequestError)}
            kept = [place for place in kept if place not in errors]
            found = _joined([one for one in alone if not isinstance(one, RequestError)])
        return self._scored(np.array(kept, np.intp), found, errors)

    def score_columns(self, columns: Mapping[str, Array]) -> Scored:
        """Rows as arrays of numbers, one a column of the signature; a missing number is NaN."""
        tensors, good = self.handler.check_columns(columns)
        errors = {int(place): self._reason(columns, int(place)) for place in np.flatnonzero(~good)}
        if errors:
            tensors = {name: array[good] for name, array in tensors.items()}
        kept = np.flatnonzero(good)
        found = guarded(partial(self._run, tensors, len(kept))) if len(kept) else {}
        if isinstance(found, RequestError):
            return self.score_values([self._instance(columns, place) for place in range(len(good))])
        return self._scored(kept, found, errors)

    def _run(self, tensors: dict[str, Array], count: int) -> Outputs:
        parts = chunks(count, self.batch)
        return _joined([self.handler.run({name: a[p.start : p.stop] for name, a in tensors.items()}) for p in parts])

    def _alone(self, rows: Sequence[Any]) -> list[Outputs]:
        found = self.handler.infer(rows)
        return [{name: array[place : place + 1] for name, array in found.items()} for place in range(len(rows))]

    def _instance(self, columns: Mapping[str, Array], place: int) -> list[float | None]:
        values = [float(columns[name][place]) for name in self.columns]
        return [None if value != value else value for value in values]  # noqa: PLR0124 - NaN

    def _reason(self, columns: Mapping[str, Array], place: int) -> RequestError:
        """In the words in which a request would be refused."""
        found = guarded(partial(self.handler.check, self._instance(columns, place), f"instances[{place}]"))
        if isinstance(found, RequestError):
            return found
        raise ValueError(f"row {place} is refused in an array and accepted alone")

    def _scored(self, kept: npt.NDArray[np.intp], outputs: Outputs, errors: dict[int, RequestError]) -> Scored:
        label = score = predictions = None
        if places := unanswered(outputs):
            errors |= {int(place): not_finite(int(place)) for place in kept[places]}
            kept, outputs = np.delete(kept, places), without(outputs, places)
        if len(kept):
            first = outputs[self.handler.session.outputs[0]]
            if self.words or not self.handler.signature.labels:
                predictions = self.handler.predictions(first)
            else:
                label, score = best_labels(first, self.handler.signature.activation)
        return Scored(kept, outputs, label, score, predictions, errors)

    def _company(self, values: list[Any]) -> Array:
        """The first output for golden rows, in batches as large as the job's."""
        many = [values[place % len(values)] for place in range(max(self.batch, len(values)))]
        return self.handler.outputs(many)[: len(values)]


def _joined(parts: Sequence[Outputs]) -> Outputs:
    if not parts:
        return {}
    return parts[0] if len(parts) == 1 else {name: np.concatenate([one[name] for one in parts]) for name in parts[0]}
