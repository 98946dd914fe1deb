"""What an answer says, in a header beside it, while the gateway compares versions."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ..errors import RequestError
from ..request import Asked
from ..response import Answer, Form, Result
from ..signature import Signature
from .prediction_log import read_settings
from .redaction import Kept, Redaction, rows_of

OBSERVE = "x-onnxserve-observe"
SAID = "x-onnxserve-said"
PAIR = "x-onnxserve-pair"  # of a request's copy to a shadow
ROWS = "x-onnxserve-rows"
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


class Copied(Observed):
    """The same of a request's copy, whose rows stand beside the answer too."""


def said(predictions: Sequence[Any]) -> str:
    """Label and score of each row as a JSON list in ASCII, `[{"label":"a","score":0.5}]`, as `listed` cuts it."""
    return listed(map(noted, predictions), len(predictions))


def copied_rows(one: Asked, result: Answer | RequestError | None, signature: Signature) -> str:
    """Rows of a request's copy in the same form, as far as they may be kept; empty where none may."""
    settings = read_settings()
    rows = rows_of(one, result) if settings.inputs else None
    if not rows:
        return ""
    redaction = Redaction(signature, settings.redact)
    kept = (row if isinstance(row, Kept) else redaction.row(row) for row in rows)
    return listed((json.loads(row.row) if row.row else None for row in kept), len(rows))


def listed(values: Iterable[Any], count: int) -> str:
    """A JSON list in ASCII; where it would be longer than `MOST_BYTES` the first values, and then the number of all."""
    shown: list[str] = []
    size = len(f"[{count}]")
    for value in values:
        shown.append(json.dumps(value, separators=(",", ":")))
        size += len(shown[-1]) + 1
        if size > MOST_BYTES:
            shown[-1] = str(count)
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
    if OBSERVE not in headers:
        return form
    return Copied(form) if headers.get(PAIR) else Observed(form)
