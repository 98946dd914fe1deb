"""outputs -> response: how one request wants its answer; the plain form is one stable JSON schema for every model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol

import msgspec
import numpy.typing as npt

from .errors import RequestError
from .signature import Signature

JSON = "application/json"
_encode = msgspec.json.Encoder().encode


class Answer(NamedTuple):
    """A body, its content type, and headers beside it."""

    body: bytes
    content_type: str = JSON
    headers: tuple[tuple[str, str], ...] = ()


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


PLAIN = Plain()
