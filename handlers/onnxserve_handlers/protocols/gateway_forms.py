"""Forms of a response that the gateway asks for in headers: a limited one, or one with its predictions in a header.

A limited response is for a client that may not know everything: its numbers are rounded, its labels cut. The gateway
withholds every response that doesn't confirm the limits. While the gateway compares versions, it reads predictions and
rows from headers, so that it needn't know each protocol.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from ..errors import RequestError
from ..outputs import Outputs
from ..request import Request
from ..response import PLAIN, Form, Response, Result
from ..signature import Signature
from ..tasks import TaskHooks
from ..tasks.regression import compared_values
from ..telemetry.prediction_log import read_settings
from ..telemetry.redaction import RedactedRow, Redaction, rows_of
from .npy import NpyForm

DIGITS = "x-onnxserve-digits"  # decimals of every number
TOP = "x-onnxserve-top"  # labels of a prediction that scores several
LIMITED = "x-onnxserve-limited"  # of a response: both limits as the request had them, with a slash between
SCORES = "scores"  # of a prediction: a number for each label
OBSERVE = "x-onnxserve-observe"
PREDICTIONS = "x-onnxserve-said"
PAIR = "x-onnxserve-pair"  # marks a request's copy to a shadow
ROWS = "x-onnxserve-rows"
MOST_BYTES = 4096  # of a header's value: proxies bound headers


def gateway_form(form: Form, headers: Mapping[str, Any]) -> Form:
    """Return the form of a response as the gateway's headers change it."""
    if DIGITS in headers or TOP in headers:
        form = limited_form(form, headers)
    if OBSERVE not in headers:
        return form
    return CopyForm(form) if headers.get(PAIR) else ObservedForm(form)


def limited_form(form: Form, headers: Mapping[str, Any]) -> Form:
    """Return the form under the limits that the headers name.

    Malformed limits are ignored: the response then confirms nothing, and the gateway withholds it.
    """
    digits, top = str(headers.get(DIGITS, "")), str(headers.get(TOP, ""))
    valid = all(text == "" or (text.isascii() and text.isdecimal() and len(text) < 10) for text in (digits, top))
    return LimitedForm(form, digits, top) if valid and digits + top else form


class LimitedForm:
    """Another form's responses with less in them; errors stay the same."""

    def __init__(self, form: Form, digits: str, top: str) -> None:
        # An array has no labels to count, so a request for one with a limit of labels gets predictions.
        self._form = PLAIN if top and isinstance(form, NpyForm) else form
        self.holds_row_errors = self._form.holds_row_errors
        self._digits, self._top = int(digits) if digits else None, int(top or 0)
        self._confirmation = (LIMITED, f"{digits}/{top}")

    def encode_result(self, result: Result) -> Response:
        """Return the other form's response to a limited result, with the header that confirms the limits."""
        response, full_body = self._form.encode_result(self._limit(result)), PLAIN.encode_result(result).body
        return response._replace(headers=(*response.headers, self._confirmation), full_body=full_body)

    def encode_error(self, error: RequestError, signature: Signature) -> Response:
        """Return the other form's response."""
        return self._form.encode_error(error, signature)

    def _limit(self, result: Result) -> Result:
        """Return the result under the limits; one of labels drops the outputs, whose logits would tell all scores."""
        outputs = Outputs()
        if not self._top:
            outputs.update({name: self._round(array) for name, array in result.outputs.items()})
        predictions = [
            prediction if isinstance(prediction, RequestError) else self._limit_prediction(prediction)
            for prediction in result.predictions
        ]
        return result._replace(predictions=predictions, batch=outputs, rows=slice(None), digits=self._digits)

    def _round(self, array: npt.NDArray[Any]) -> npt.NDArray[Any]:
        return array if self._digits is None or array.dtype.kind != "f" else np.round(array, self._digits)

    def _limit_prediction(self, prediction: Any) -> Any:
        return limit_value(msgspec.to_builtins(prediction), self._digits, self._top)


def limit_value(value: Any, digits: int | None, top: int) -> Any:
    """Return a JSON value with less in it, at every depth.

    Its numbers keep `digits` decimals, all of them with None. Its `scores` keep the `top` largest, all of them with 0.
    """
    if isinstance(value, float) and digits is not None:
        return round(value, digits)
    if isinstance(value, list):
        return [limit_value(part, digits, top) for part in value]
    if isinstance(value, dict):
        return {
            name: limit_value(top_scores(part, top) if top and name == SCORES else part, digits, top)
            for name, part in value.items()
        }
    return value


def top_scores(scores: Any, top: int) -> dict[str, Any]:
    """Return the `top` largest scores by label; a list's scores are named by index, and any other value has none."""
    if isinstance(scores, list):
        scores = {str(index): score for index, score in enumerate(scores)}
    named = scores.items() if isinstance(scores, dict) else ()
    return dict(sorted(named, key=lambda pair: sort_key(pair[1]), reverse=True)[:top])


def sort_key(score: Any) -> float:
    """Return a score as a number to sort by; anything but a number comes last."""
    return float(score) if isinstance(score, int | float) else -math.inf


class ObservedForm:
    """Another form's responses, with the predictions in a header."""

    def __init__(self, form: Form) -> None:
        self._form = form
        self.holds_row_errors = form.holds_row_errors

    def encode_result(self, result: Result) -> Response:
        """Return the other form's response with the header added."""
        response = self._form.encode_result(result)
        return response._replace(
            headers=(*response.headers, (PREDICTIONS, encode_predictions(result.predictions, result.task)))
        )

    def encode_error(self, error: RequestError, signature: Signature) -> Response:
        """Return the other form's response."""
        return self._form.encode_error(error, signature)


class CopyForm(ObservedForm):
    """The form for a request's copy to a shadow; `Handler` puts the rows in a header too."""


def encode_predictions(predictions: Sequence[Any], task: TaskHooks) -> str:
    """Return each row's label and score as a JSON list, `[{"label":"a","score":0.5}]`; `encode_list` cuts it."""
    return encode_list((label_and_score(task, prediction) for prediction in predictions), len(predictions))


def encode_rows(request: Request, result: Response | RequestError | None, signature: Signature) -> str:
    """Return the rows of a request's copy as a JSON list, as far as they may be kept; empty where none may."""
    settings = read_settings()
    rows = rows_of(request, result) if settings.inputs else None
    if not rows:
        return ""
    redaction = Redaction(signature, settings.redact)
    kept = (row if isinstance(row, RedactedRow) else redaction.row(row) for row in rows)
    return encode_list((json.loads(row.row) if row.row else None for row in kept), len(rows))


def encode_list(values: Iterable[Any], count: int) -> str:
    """Return a JSON list in ASCII; beyond `MOST_BYTES` it has the first values, and then the number of all."""
    parts: list[str] = []
    size = len(f"[{count}]")
    for value in values:
        parts.append(json.dumps(value, separators=(",", ":")))
        size += len(parts[-1]) + 1
        if size > MOST_BYTES:
            parts[-1] = str(count)
            break
    return f"[{','.join(parts)}]"


def label_and_score(task: TaskHooks, prediction: Any) -> dict[str, Any]:
    """Return a prediction's label and score as far as it has them, and the few values of a regression."""
    fields = {
        "label": task.label(prediction),
        "score": task.score(prediction),
        "values": compared_values(task, prediction),
    }
    return {name: value for name, value in fields.items() if value is not None}
