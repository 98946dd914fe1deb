"""Rows of the output: kept columns of the input, the prediction, the archive, or the error."""

from __future__ import annotations

import math
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from onnxserve_handlers.tasks.classification import probabilities

from .chunk import Chunk, Fault
from .job import Model, Shape
from .scorer import Answers, Form

Array = npt.NDArray[Any]
OURS = ("source", "row", "prediction", "score", "scores", "outputs", "model", "version", "archive", "error")


def answer_table(chunk: Chunk, answers: Answers, source: str, model: Model, shape: Shape, form: Form) -> pa.Table:
    """Return a table with one row for each row of the chunk, in its order."""
    columns: dict[str, Any] = {}
    if chunk.kept is not None:
        columns.update(zip(chunk.kept.column_names, chunk.kept.columns, strict=True))
    columns["source"] = constant_column(source, chunk.size)
    columns["row"] = pa.array(np.arange(chunk.first, chunk.first + chunk.size))
    columns |= prediction_columns(answers, chunk.size, model, form)
    if shape.scores:
        scores = scores_of(answers.outputs, model.activation)
        columns["scores"] = list_column(scores, answers.kept, chunk.size)
    if shape.outputs:
        columns["outputs"] = list_column(answers.outputs, answers.kept, chunk.size)
    for name, value in (("model", model.name), ("version", model.version), ("archive", model.sha256)):
        columns[name] = constant_column(value, chunk.size)
    columns["error"] = error_column(chunk.faults | answers.faults, chunk.size)
    return pa.table(columns)


def prediction_columns(answers: Answers, count: int, model: Model, form: Form) -> dict[str, Any]:
    """Return the column `prediction`, and `score` where there are labels."""
    if form == "values":
        values = [prediction["values"] for prediction in answers.predictions or ()]
        return {"prediction": spread(pa.array(values, pa.list_(pa.float64())), answers.kept, count)}
    if form == "labels" and answers.label is not None:
        label = pa.DictionaryArray.from_arrays(pa.array(answers.label, pa.int32()), list(model.labels))
        score = pa.array(answers.score, pa.float64())
    else:
        label, score = split_predictions(answers, model, form)
    return {"prediction": spread(label, answers.kept, count), "score": spread(score, answers.kept, count)}


def split_predictions(answers: Answers, model: Model, form: Form) -> tuple[pa.Array, pa.Array]:
    """Return label and score of answers in a handler's own form; an answer without a label is JSON."""
    predictions = answers.predictions or ()
    labels = [
        prediction["label"] if isinstance(prediction, dict) and "label" in prediction else _text(prediction)
        for prediction in predictions
    ]
    if answers.score is None:  # they come from a server
        values = [prediction.get("score") if isinstance(prediction, dict) else None for prediction in predictions]
        scores = pa.array(values, pa.float64())
    else:
        scores = pa.array(answers.score, pa.float64(), from_pandas=True)
    if form == "labels":
        at = [model.labels.index(label) for label in labels]
        label = pa.DictionaryArray.from_arrays(pa.array(at, pa.int32()), list(model.labels))
        return label, scores
    return pa.array(labels, pa.string()), scores


def _text(value: Any) -> str:
    return msgspec.json.encode(value).decode()


def constant_column(value: str, count: int) -> pa.DictionaryArray:
    """Return a column with the same text in every row."""
    return pa.DictionaryArray.from_arrays(pa.array(np.zeros(count, np.int32)), [value])


def spread(array: pa.Array, kept: Array, count: int) -> pa.Array:
    """Spread an array of the answered rows over all rows, with null for the others."""
    if len(kept) == count:
        return array
    at = np.zeros(count, np.int64)
    at[kept] = np.arange(len(kept))
    missing = np.ones(count, bool)
    missing[kept] = False
    return array.take(pa.array(at, mask=missing))


def list_column(values: Array | None, kept: Array, count: int) -> pa.Array:
    """Return a column of lists, the numbers of each row in the graph's type."""
    if values is None:
        return pa.nulls(count, pa.list_(pa.float32()))
    offsets = np.arange(len(values) + 1, dtype=np.int32) * math.prod(values.shape[1:])
    return spread(pa.ListArray.from_arrays(pa.array(offsets), pa.array(values.ravel())), kept, count)


def scores_of(outputs: Array | None, activation: str) -> Array | None:
    """Return the probability of each label, float32, shape (rows, labels)."""
    if outputs is None or activation == "none":
        return outputs
    return probabilities(outputs, activation).astype(np.float32)


def error_column(faults: dict[int, Fault], count: int) -> pa.Array:
    """Return the column of errors, null for the answered rows."""
    if not faults:
        return pa.nulls(count, pa.string())
    return pa.array([fault_text(faults[place]) if place in faults else None for place in range(count)], pa.string())


def fault_text(fault: Fault) -> str:
    """Return type, place and reason in one line."""
    return f"{fault.type}: {fault.where + ': ' if fault.where else ''}{fault.reason}"
