"""outputs -> response: how one request wants its answer; the plain form is one stable JSON schema for every model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol

import msgspec
import numpy.typing as npt

from .errors import RequestError
from .signature import Signature

JSON = "application/json"
ERROR = "x-onnxserve-error"


def error_in_place(value: Any) -> dict[str, dict[str, str]]:
    """What stands where the prediction of a row would."""
    if isinstance(value, RequestError):
        return {"error": value.body()}
    raise TypeError(f"{type(value).__name__} has no JSON")


_encode = msgspec.json.Encoder(enc_hook=error_in_place).encode


class Answer(NamedTuple):
    """A body, its content type, headers beside it, and the status where it isn't what an error says.

    `fault` is the kind of the error that some of its rows have in place of a prediction. `whole` is the plain form's
    body where this one says less.
    """

    body: bytes
    content_type: str = JSON
    headers: tuple[tuple[str, str], ...] = ()
    status: int = 0
    fault: str = ""
    whole: bytes = b""


class Result(NamedTuple):
    """What the model gave for one request: one prediction or error a row, and where its rows stand in the batch."""

    signature: Signature
    predictions: list[Any]
    batch: Mapping[str, npt.NDArray[Any]]
    rows: slice
    fault: str = ""  # kind of the errors
    digits: int | None = None  # decimals of numbers in the answer; None leaves them

    @property
    def outputs(self) -> dict[str, npt.NDArray[Any]]:
        """Every output for this request's rows, shape (rows, ...)."""
        return {name: array[self.rows] for name, array in self.batch.items()}


class Form(Protocol):
    """Turns results and errors into answers."""

    by_row: bool  # whether an answer has a place for the error of one of its rows

    def good(self, result: Result) -> Answer:
        """The answer to a request whose rows were computed; errors among them only `by_row`."""

    def bad(self, error: RequestError, signature: Signature) -> Answer:
        """The answer to any other."""


class Plain:
    """`{"predictions": [...], "model": ..., "version": ...}`; `error` in place of `predictions`, or of one of them."""

    by_row = True

    def good(self, result: Result) -> Answer:
        """One prediction a row, or its error."""
        signature = result.signature
        body = {"predictions": result.predictions, "model": signature.model, "version": signature.version}
        return Answer(_encode(body), fault=result.fault)

    def bad(self, error: RequestError, signature: Signature) -> Answer:
        """Type, reason, place and remedy."""
        return Answer(_encode({"error": error.body(), "model": signature.model, "version": signature.version}))


def refusal(form: Form, error: RequestError, signature: Signature) -> Answer:
    """The answer to a request that failed; a header names the error, so that proxies needn't read the form."""
    answer = form.bad(error, signature)
    return answer._replace(headers=(*answer.headers, (ERROR, error.kind)), status=answer.status or error.status)


PLAIN = Plain()
