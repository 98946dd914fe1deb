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
_encode = msgspec.json.Encoder().encode


class Answer(NamedTuple):
    """A body, its content type, headers beside it, and the status where it isn't what an error says."""

    body: bytes
    content_type: str = JSON
    headers: tuple[tuple[str, str], ...] = ()
    status: int = 0


class Result(NamedTuple):
    """What the model gave for one request: one prediction a row, and where its rows stand in the batch."""

    signature: Signature
    predictions: list[Any]
    batch: Mapping[str, npt.NDArray[Any]]
    rows: slice

    @property
    def outputs(self) -> dict[str, npt.NDArray[Any]]:
        """Every output for this request's rows, shape (rows, ...)."""
        return {name: array[self.rows] for name, array in self.batch.items()}


class Form(Protocol):
    """Turns results and errors into answers."""

    def good(self, result: Result) -> Answer:
        """The answer to a request whose rows were all computed."""

    def bad(self, error: RequestError, signature: Signature) -> Answer:
        """The answer to any other."""


class Plain:
    """`{"predictions": [...], "model": ..., "version": ...}`, or `error` in place of `predictions`."""

    def good(self, result: Result) -> Answer:
        """One prediction a row."""
        signature = result.signature
        return Answer(
            _encode({"predictions": result.predictions, "model": signature.model, "version": signature.version})
        )

    def bad(self, error: RequestError, signature: Signature) -> Answer:
        """Type, reason, place and remedy."""
        return Answer(_encode({"error": error.body(), "model": signature.model, "version": signature.version}))


def refusal(form: Form, error: RequestError, signature: Signature) -> Answer:
    """The answer to a request that failed; a header names the error, so that proxies needn't read the form."""
    answer = form.bad(error, signature)
    return answer._replace(headers=(*answer.headers, (ERROR, error.kind)), status=answer.status or error.status)


PLAIN = Plain()
