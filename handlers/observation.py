"""What an answer says, in a header beside it, while the gateway compares versions."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

from .errors import RequestError
from .forms import Answer, Form, Result
from .signature import Signature

OBSERVE = "x-onnxserve-observe"
SAID = "x-onnxserve-said"
MOST_BYTES = 4096  # proxies bound headers


class Observed:
    """Another form's answers, and beside them what they say."""

    def __init__(self, form: Form) -> None:
        self._form = form
        self.by_row = form.by_row

    def good(self, result: Result) -> Answer:
        """The other form's answer with one header more."""
        answer = self._form.good(result)
        return answer._replace(headers=(*answer.headers, (SAID, said(result.predictions))))

    def bad(self, error: RequestError, signature: Signature) -> Answer:
        """The other form's."""
        return self._form.bad(error, signature)


def said(predictions: Sequence[Any]) -> str:
    """Label and score of each row as a JSON list in ASCII, `[{"label":"a","score":0.5}]`.

    Where it would be longer than `MOST_BYTES` it has the first rows, and then the number of all rows.
    """
    shown: list[str] = []
    size = len(f"[{len(predictions)}]")
    for prediction in predictions:
        shown.append(json.dumps(noted(prediction), separators=(",", ":")))
        size += len(shown[-1]) + 1
        if size > MOST_BYTES:
            shown[-1] = str(len(predictions))
            break
    return f"[{','.join(shown)}]"


def noted(prediction: Any) -> dict[str, Any]:
    """A prediction's label and score, as far as it has them."""
    label, score = (
        prediction.get(name) if isinstance(prediction, Mapping) else getattr(prediction, name, None)
        for name in ("label", "score")
    )
    found: dict[str, Any] = {"label": label} if isinstance(label, str) else {}
    if isinstance(score, int | float) and math.isfinite(score):
        found["score"] = float(score)
    return found


def observed_form(form: Form, headers: Mapping[str, Any]) -> Form:
    """The form of an answer that the gateway may want to know of."""
    return Observed(form) if OBSERVE in headers else form
