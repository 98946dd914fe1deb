"""outputs -> answers: each request gets the predictions of its rows, and the errors of those that have none."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from .errors import AnswerTooLarge, NotFinite, RequestError, combined
from .request import Asked
from .response import Answer, Result
from .signature import Signature
from .tasks.classification import FEW

Outputs = Mapping[str, npt.NDArray[Any]]
Predict = Callable[[Outputs], Sequence[Any]]


def answers(
    asked: Sequence[Asked], outputs: Outputs, predict: Predict, signature: Signature, largest: int
) -> list[Answer | RequestError]:
    """An answer or an error for each request; `outputs` are those of all their rows, in order.

    `predict` is given the rows whose outputs are finite, and must give a prediction for each. An answer has at most
    `largest` bytes.
    """
    counts = [one.count for one in asked]
    places = unanswered(outputs)
    predictions = list(predict(without(outputs, places) if places else outputs))
    if len(predictions) + len(places) != sum(counts):
        raise ValueError(f"{len(predictions)} predictions for {sum(counts)} rows")
    for place in places:
        predictions.insert(place, None)
    given, start = list[Answer | RequestError](), 0
    for one, count in zip(asked, counts, strict=True):
        rows = slice(start, start + count)
        result = Result(signature, predictions[rows], outputs, rows)
        faults = {place - start: not_finite(place - start) for place in places if start <= place < rows.stop}
        given.append(within(_answer(one, result, faults) if faults else one.form.good(result), count, largest))
        start += count
    return given


def _answer(one: Asked, result: Result, faults: Mapping[int, RequestError]) -> Answer | RequestError:
    """One error for the whole request where no row has an answer, or its form has no place for a row's error."""
    error = combined(list(faults.values()))
    if error is not None and (not one.form.by_row or len(faults) == one.count):
        return error
    shown = [faults.get(place, prediction) for place, prediction in enumerate(result.predictions)]
    return one.form.good(result._replace(predictions=shown, fault=NotFinite.kind))


Arrays = Mapping[str, npt.NDArray[Any]]


def unanswered(outputs: Arrays) -> list[int]:
    """Places of the rows that some output has a number for that is not finite; dimension 0 is the batch."""
    places: set[int] = set()
    for array in outputs.values():
        if array.dtype.kind == "f" and not is_finite(array):
            finite = np.isfinite(array).reshape(len(array), -1).all(axis=1)
            places.update(np.flatnonzero(~finite).tolist())
    return sorted(places)


def is_finite(array: npt.NDArray[Any]) -> bool:
    """Whether every element is; of a few, numpy's calls alone would take ten times as long."""
    if array.size <= FEW:
        return all(map(math.isfinite, array.ravel().tolist()))
    return bool(np.isfinite(array).all())


def without(outputs: Arrays, places: list[int]) -> dict[str, npt.NDArray[Any]]:
    """The other rows."""
    return {name: np.delete(array, places, axis=0) for name, array in outputs.items()}


def not_finite(place: int) -> NotFinite:
    """The error of a request's row."""
    return NotFinite(
        "the model's output is not a finite number",
        where=f"instances[{place}]",
        fix="check the row for values far outside what the model was trained on",
    )


VARIABLE = "ONNXSERVE_MAX_RESPONSE_BYTES"  # set by `onnxserve serve`
TORCHSERVES = 6_553_500  # bytes, by default
REST = 1024  # bytes of an answer beside its rows, at most


def response_limit(context: Any) -> int:
    """Bytes of the largest answer: as the context says, else the environment, else as TorchServe has it by default."""
    limit = getattr(context, "max_response_bytes", None) or os.environ.get(VARIABLE) or TORCHSERVES
    return int(limit)


def within(answer: Answer | RequestError, rows: int, limit: int) -> Answer | RequestError:
    """The answer to a request of so many rows, or the error in its place if it is longer than `limit` bytes."""
    if isinstance(answer, RequestError) or len(answer.body) <= limit:
        return answer
    size, fitting = len(answer.body), rows * max(0, limit - REST) // len(answer.body)
    fix = f"send at most {fitting} such rows in a request" if fitting else "ask for fewer outputs"
    return AnswerTooLarge(f"the answer to {rows} rows has {size} bytes, at most {limit} can be sent", fix=fix)
