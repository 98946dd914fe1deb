"""Less of an answer, for a client that may not know all of it: numbers rounded, labels cut.

The gateway names both limits in headers, and withholds every answer that doesn't confirm them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from ..errors import RequestError
from ..response import PLAIN, Answer, Form, Result
from ..signature import Signature
from .npy import NpyForm

DIGITS = "x-onnxserve-digits"  # decimals of every number
TOP = "x-onnxserve-top"  # labels of a prediction that scores several
LIMITED = "x-onnxserve-limited"  # of an answer: both as the request had them, with a slash between
SCORES = "scores"  # of a prediction: a number for each label


class Limited:
    """Another form's answers, made of less; errors are as they were."""

    def __init__(self, form: Form, digits: str, top: str) -> None:
        # An array has no labels to count, so whoever asks for one gets predictions.
        self._form = PLAIN if top and isinstance(form, NpyForm) else form
        self.by_row = self._form.by_row
        self._digits, self._top = int(digits) if digits else None, int(top or 0)
        self._confirmed = (LIMITED, f"{digits}/{top}")

    def good(self, result: Result) -> Answer:
        """The other form's answer and the header that confirms the limits."""
        answer, whole = self._form.good(self._less(result)), PLAIN.good(result).body
        return answer._replace(headers=(*answer.headers, self._confirmed), whole=whole)

    def bad(self, error: RequestError, signature: Signature) -> Answer:
        """The other form's."""
        return self._form.bad(error, signature)

    def _less(self, result: Result) -> Result:
        """With labels cut there are no outputs of the graph: logits would say what `scores` may not."""
        outputs = {} if self._top else {name: self._rounded(array) for name, array in result.outputs.items()}
        shown = [one if isinstance(one, RequestError) else self._limited(one) for one in result.predictions]
        return result._replace(predictions=shown, batch=outputs, rows=slice(None), digits=self._digits)

    def _rounded(self, array: npt.NDArray[Any]) -> npt.NDArray[Any]:
        return array if self._digits is None or array.dtype.kind != "f" else np.round(array, self._digits)

    def _limited(self, prediction: Any) -> Any:
        return limited(msgspec.to_builtins(prediction), self._digits, self._top)


def limited(value: Any, digits: int | None, top: int) -> Any:
    """A JSON value with less in it, at every depth.

    Its numbers have `digits` decimals, None leaves them; of `scores` the `top` are left, 0 leaves all.
    """
    if isinstance(value, float) and digits is not None:
        return round(value, digits)
    if isinstance(value, list):
        return [limited(part, digits, top) for part in value]
    if isinstance(value, dict):
        return {
            name: limited(best(part, top) if top and name == SCORES else part, digits, top)
            for name, part in value.items()
        }
    return value


def best(scores: Any, top: int) -> dict[str, Any]:
    """The `top` largest by label; scores in a list are named by their places, and what isn't either has none."""
    if isinstance(scores, list):
        scores = {str(place): score for place, score in enumerate(scores)}
    named = scores.items() if isinstance(scores, dict) else ()
    return dict(sorted(named, key=lambda pair: number(pair[1]), reverse=True)[:top])


def number(value: Any) -> float:
    """A score to sort by; whatever is no number is the least."""
    return float(value) if isinstance(value, int | float) else -math.inf


def limited_form(form: Form, headers: Mapping[str, Any]) -> Form:
    """The form of an answer under the limits that a request's headers name.

    Headers that make no sense are ignored, so that the answer confirms nothing and the gateway withholds it.
    """
    digits, top = str(headers.get(DIGITS, "")), str(headers.get(TOP, ""))
    sensible = all(text == "" or (text.isascii() and text.isdecimal() and len(text) < 10) for text in (digits, top))
    return Limited(form, digits, top) if sensible and digits + top else form
