"""outputs -> response: the forms of a response, its record, and its largest size.

The plain form is one stable JSON schema for every model; protocols have forms of their own.
"""

from __future__ import annotations

import os
from typing import Any, NamedTuple, Protocol

import msgspec

from .errors import RequestError, ResponseTooLarge
from .outputs import Outputs
from .signature import Signature
from .tasks import TaskHooks

JSON = "application/json"
ERROR = "x-onnxserve-error"


def encode_row_error(value: Any) -> dict[str, dict[str, str]]:
    """Return the object that takes the place of a row's prediction; TypeError for anything but a RequestError."""
    if isinstance(value, RequestError):
        return {"error": value.body()}
    raise TypeError(f"{type(value).__name__} has no JSON")


_encode = msgspec.json.Encoder(enc_hook=encode_row_error).encode


class Response(NamedTuple):
    """A body with its content type and headers; `status` is 0 where the error, or its absence, decides it.

    `row_error` is the kind of the error that some rows have in place of a prediction. `full_body` is the plain form's
    body with everything in it, where `body` is limited.
    """

    body: bytes
    content_type: str = JSON
    headers: tuple[tuple[str, str], ...] = ()
    status: int = 0
    row_error: str = ""
    full_body: bytes = b""


class Result(NamedTuple):
    """The model's result for one request: a prediction or an error per row, and the outputs of the whole batch.

    `task` made the predictions. `rows` is where the request's rows stand in the arrays of `batch`.
    """

    task: TaskHooks
    predictions: list[Any]
    batch: Outputs
    rows: slice
    row_error: str = ""  # kind of the errors among the predictions
    digits: int | None = None  # decimals of numbers in the response; None leaves them

    @property
    def signature(self) -> Signature:
        """The model's signature."""
        return self.task.signature

    @property
    def outputs(self) -> Outputs:
        """Every output for this request's rows by name, shape (rows, ...)."""
        return self.batch.take(self.rows)


class Form(Protocol):
    """Encodes results and errors as responses."""

    holds_row_errors: bool  # whether a response can hold the error of one of its rows

    def encode_result(self, result: Result) -> Response:
        """Return the response to a request whose rows were computed; errors among them need `holds_row_errors`."""

    def encode_error(self, error: RequestError, signature: Signature) -> Response:
        """Return the response to a request that failed as a whole."""


class PlainForm:
    """`{"predictions": [...], "model": ..., "version": ...}`; `error` takes the place of all predictions or of one."""

    holds_row_errors = True

    def encode_result(self, result: Result) -> Response:
        """Return one prediction per row, or the row's error."""
        signature = result.signature
        body = {"predictions": result.predictions, "model": signature.model, "version": signature.version}
        return Response(_encode(body), row_error=result.row_error)

    def encode_error(self, error: RequestError, signature: Signature) -> Response:
        """Return the error's type, reason, place and fix."""
        return Response(_encode({"error": error.body(), "model": signature.model, "version": signature.version}))


def refusal(form: Form, error: RequestError, signature: Signature) -> Response:
    """Return the response to a request that failed; a header names the error for proxies that don't read the form."""
    response = form.encode_error(error, signature)
    headers = (*response.headers, (ERROR, error.kind))
    return response._replace(headers=headers, status=response.status or error.status)


PLAIN = PlainForm()

MAX_RESPONSE_BYTES = "ONNXSERVE_MAX_RESPONSE_BYTES"  # `onnxserve serve` sets it
DEFAULT_MAX_RESPONSE_BYTES = 6_553_500  # TorchServe's default of `max_response_size`
OVERHEAD = 1024  # bytes of a response beside its rows, at most


def max_response_bytes(context: Any) -> int:
    """Return the most bytes of a response, as the context, the environment or TorchServe's default has it."""
    limit = getattr(context, "max_response_bytes", None) or os.environ.get(MAX_RESPONSE_BYTES)
    return int(limit or DEFAULT_MAX_RESPONSE_BYTES)


def limit_size(response: Response | RequestError, rows: int, limit: int) -> Response | RequestError:
    """Return the response to a request of `rows` rows, or ResponseTooLarge if it is longer than `limit` bytes."""
    if isinstance(response, RequestError) or len(response.body) <= limit:
        return response
    size = len(response.body)
    fitting = rows * max(0, limit - OVERHEAD) // size
    fix = f"send at most {fitting} such rows in a request" if fitting else "ask for fewer outputs"
    return ResponseTooLarge(f"the answer to {rows} rows has {size} bytes, at most {limit} can be sent", fix=fix)
