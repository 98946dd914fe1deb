"""One request on its way through the stages, and the responses to the requests of a batch."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np

from .errors import DeadlineExceeded, NotFinite, RequestError, combine, detach
from .outputs import Array, Outputs, drop_rows, not_finite, rows_not_finite
from .response import PLAIN, Form, Response, Result, limit_size
from .tasks import TaskHooks

Predict = Callable[[Outputs, Sequence[int]], Sequence[Any]]


class Request:
    """Instances to be checked, or checked rows, or the graph's inputs themselves; and the form of the response.

    `error` or `response` is set once the request needs nothing more from the model.
    """

    __slots__ = ("error", "form", "instances", "parameters", "response", "rows", "tensors")

    def __init__(
        self,
        instances: Sequence[Any] | None = None,
        rows: list[Any] | None = None,
        tensors: dict[str, Array] | None = None,
        form: Form = PLAIN,
        parameters: Mapping[str, Any] = MappingProxyType({}),
    ) -> None:
        self.instances = instances
        self.rows = rows
        self.tensors = tensors
        self.form = form
        self.parameters = parameters  # of the task, which has checked them
        self.error: RequestError | None = None
        self.response: Response | None = None

    @property
    def finished(self) -> bool:
        """Whether the model has nothing left to do for it."""
        return self.error is not None or self.response is not None

    @property
    def count(self) -> int:
        """How many rows its response has."""
        if self.tensors is not None:
            return len(next(iter(self.tensors.values())))
        return len(self.rows or ())


def tensor_groups(requests: Sequence[Request], most: int) -> list[list[Request]]:
    """Return the requests that bring tensors, in groups that can be joined: of the same sizes beside the rows.

    A group has at most `most` rows, or one request, so that joined tensors take no more memory than those of rows.
    """
    groups: list[list[Request]] = []
    latest: dict[Any, tuple[list[Request], int]] = {}  # by sizes, with the number of rows
    for request in requests:
        if request.tensors is None:
            continue
        sizes = frozenset((name, array.shape[1:]) for name, array in request.tensors.items())
        group, rows = latest.get(sizes, ([], most))
        if rows + request.count > most:
            group, rows = [], 0
            groups.append(group)
        group.append(request)
        latest[sizes] = group, rows + request.count
    return groups


def join_tensors(group: Sequence[Request]) -> dict[str, Array]:
    """Return the tensors of all requests of a group, in their order."""
    parts = [request.tensors for request in group if request.tensors is not None]
    return parts[0] if len(parts) == 1 else {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def error_of(request: Request, result: Response | RequestError | None) -> RequestError | None:
    """Return the error of an earlier stage or of the model; None for a request that gets a result."""
    return request.error or (result if isinstance(result, RequestError) else None)


def failed_request(error: RequestError, form: Form = PLAIN) -> Request:
    """Return a request that failed before its rows were known."""
    request = Request(form=form)
    request.error = detach(error)
    return request


def answered_request(response: Response) -> Request:
    """Return a request whose response needs no model."""
    request = Request()
    request.response = response
    return request


START = "x-onnxserve-start"  # when the gateway took the request, in seconds since the epoch
DEADLINE = "x-onnxserve-deadline"  # seconds from the start
LONGEST_WAIT_S = 86_400.0  # a longer wait means that a clock was set, or that the header is nonsense


def header_number(headers: Mapping[str, Any], name: str) -> float | None:
    """Return a header's number; None without the header, or where it isn't a finite number."""
    try:
        value = float(headers[name])
    except (KeyError, TypeError, ValueError, OverflowError):
        return None
    return value if math.isfinite(value) else None


def check_deadline(headers: Mapping[str, Any]) -> None:
    """Raise DeadlineExceeded for a request whose time is over; malformed headers are ignored."""
    if DEADLINE not in headers:
        return
    start, allowed = header_number(headers, START), header_number(headers, DEADLINE)
    if start is None or allowed is None or allowed <= 0:
        return
    waited = time.time() - start
    if allowed < waited < LONGEST_WAIT_S:
        raise DeadlineExceeded(
            f"the request waited {waited:.3f} s, {allowed:g} s are allowed",
            where="queue",
            fix="retry later",
        )


def build_responses(
    requests: Sequence[Request], outputs: Outputs, predict: Predict, task: TaskHooks, limit: int
) -> list[Response | RequestError]:
    """Return a response or an error for each request; `outputs` are those of all their rows, in order.

    `predict` gets the outputs of the rows where all are finite, and the indices of the other rows; it must return a
    prediction for each finite row, else ValueError. A response has at most `limit` bytes.
    """
    counts = [request.count for request in requests]
    bad_rows = rows_not_finite(outputs)
    predictions = list(predict(drop_rows(outputs, bad_rows) if bad_rows else outputs, bad_rows))
    if len(predictions) + len(bad_rows) != sum(counts):
        raise ValueError(f"{len(predictions)} predictions for {sum(counts)} rows")
    for index in bad_rows:
        predictions.insert(index, None)
    responses, start = list[Response | RequestError](), 0
    for request, count in zip(requests, counts, strict=True):
        rows = slice(start, start + count)
        result = Result(task, predictions[rows], outputs, rows)
        errors = {index - start: not_finite(index - start) for index in bad_rows if start <= index < rows.stop}
        if request.parameters:
            result = result._replace(predictions=_with_parameters(request, result, errors))
        response = _with_errors(request, result, errors) if errors else request.form.encode_result(result)
        responses.append(limit_size(response, count, limit))
        start += count
    return responses


def _with_parameters(request: Request, result: Result, errors: Collection[int]) -> list[Any]:
    """Return the predictions as the request's parameters ask, for its finite rows."""
    finite = [index for index in range(len(result.predictions)) if index not in errors]
    if not finite:  # outputs without rows have no sizes that a task could count on
        return result.predictions
    outputs = result.outputs.take(np.array(finite, np.intp)).own()
    known = [result.predictions[index] for index in finite]
    changed = dict(zip(finite, result.task.apply_parameters(known, outputs, request.parameters), strict=True))
    return [changed.get(index) for index in range(len(result.predictions))]


def _with_errors(request: Request, result: Result, errors: Mapping[int, RequestError]) -> Response | RequestError:
    """Return one error for the whole request if all its rows failed, or if its form can't hold a row's error."""
    error = combine(list(errors.values()))
    if error is not None and (not request.form.holds_row_errors or len(errors) == request.count):
        return error
    predictions = [errors.get(index, prediction) for index, prediction in enumerate(result.predictions)]
    return request.form.encode_result(result._replace(predictions=predictions, row_error=NotFinite.kind))
