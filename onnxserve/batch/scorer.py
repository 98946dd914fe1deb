"""A scorer that runs the archive's own handler in this process, which does nothing else."""

from __future__ import annotations

import importlib
import math
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from onnxserve.archive import folder_signature, package
from onnxserve.errors import ArchiveError

from .batch_size import choose_batch_size
from .chunk import Chunk, Fault

Array = npt.NDArray[Any]
Form = Literal["labels", "values", "words"]
PLACE = re.compile(r"^instances\[\d+\]\.?")


class Answers(NamedTuple):
    """The answers to a chunk's rows; every array has one entry for each place of `kept`."""

    kept: npt.NDArray[np.intp]
    label: Array | None  # place among the labels
    score: Array | None
    predictions: Sequence[Any] | None
    outputs: Array | None  # the graph's first output
    faults: dict[int, Fault]


class Scorer(Protocol):
    """The interface of scorers."""

    form: Form
    deviation: float

    def score(self, chunk: Chunk) -> Answers:
        """Return an answer or a fault for each row that was read."""

    def close(self) -> None:
        """Release what the scorer holds."""


class LocalScorer:
    """Scores with an unpacked archive in this process."""

    def __init__(self, folder: Path, config: dict[str, Any], batch: int, gpu_id: int | None) -> None:
        sys.path.insert(0, str(folder))  # the handlers' folder is named by its digest: it shadows nothing
        bulk = importlib.import_module(f"{package(folder)}.bulk")
        proven = int(folder_signature(folder)["max_batch"])
        self._bulk = bulk.Bulk(folder, config, proven, gpu_id)
        handler, columnar = self._bulk.handler, bool(self._bulk.columns)
        self._bulk.batch = choose_batch_size(folder, handler, proven, batch, columnar=columnar)
        handler.resize(self._bulk.batch)
        self.form: Form = form_of(self._bulk, folder)
        self.deviation = float(self._bulk.deviation)
        self.first = self._bulk.handler.session.outputs[0]
        self._nothing = np.empty((0, 1), handler.signature.outputs[0].dtype)  # where no row was answered

    def score(self, chunk: Chunk) -> Answers:
        """Score rows as arrays if they came as columns, else as instances."""
        if chunk.columns is not None and self._bulk.columns:
            scored = self._bulk.score_columns(chunk.columns)
        elif chunk.columns is not None:
            scored = self._bulk.score_values(np.column_stack(list(chunk.columns.values())).tolist())
        else:
            scored = self._bulk.score_values(chunk.values)
        faults = {int(chunk.places[place]): fault_of(error.body()) for place, error in scored.errors.items()}
        outputs = scored.outputs.get(self.first, self._nothing)
        of_task = scored.predictions and self.form == "words" and hasattr(self._bulk.handler, "score")  # since 0.2
        score = self._scores(scored.predictions or ()) if of_task else scored.score
        return Answers(chunk.places[scored.kept], scored.label, score, scored.predictions, outputs, faults)

    def _scores(self, predictions: Sequence[Any]) -> Array:
        """Return the number by which the task compares predictions, NaN for one that has none."""
        scores = map(self._bulk.handler.score, predictions)
        return np.array([math.nan if score is None else score for score in scores], np.float64)

    def close(self) -> None:
        """Do nothing: the session ends with its process."""


def form_of(bulk: Any, folder: Path) -> Form:
    """Return the form of predictions: label and score, plain values, or another task's or handler's own form."""
    form: Form | None = getattr(bulk, "form", None)
    if form is not None:
        return form
    return "words" if bulk.words else form_of_task(folder)  # an archive of an earlier version


def form_of_task(folder: Path) -> Form:
    """Return the form of the task's own predictions."""
    forms: dict[str, Form] = {"classification": "labels", "regression": "values"}
    return forms.get(folder_signature(folder)["output"]["task"], "words")


def fault_of(error: dict[str, str]) -> Fault:
    """Make a fault of a handler's error, without the place in a request, which didn't exist."""
    return Fault(error["type"], error["reason"], PLACE.sub("", error.get("where", "")))


def check_bulk(folder: Path) -> None:
    """Raise ArchiveError for an archive that is older than batch scoring."""
    if not (folder / package(folder) / "bulk.py").is_file():
        raise ArchiveError(
            "this archive's handlers don't support batch scoring", where=str(folder), fix="export it again"
        )
