"""outputs -> answers: each request gets the predictions of its rows, and the errors of those that have none."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy.typing as npt

from .asked import Asked
from .errors import NotFinite, RequestError
from .faults import combined
from .finite import not_finite, unanswered, without
from .forms import Answer, Result
from .response_size import within
from .signature import Signature

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
