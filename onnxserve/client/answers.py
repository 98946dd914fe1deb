"""The answer to many rows: requests of a size that the model takes, and an error of its own for each bad row.

A server refuses a request whole if a row of it is bad. The rest is then sent again without that row, so that each row
gets its prediction or its error.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import msgspec

from onnxserve.errors import RowError
from onnxserve_handlers.errors import RequestError

from .errors import RequestFailed
from .exchange import REQUEST_ID, Exchange, Incoming, Outgoing, Steps
from .fault import Fault, read_fault, request_failed
from .forms import Form

R = TypeVar("R")
Ask = Callable[[Outgoing], Steps[Exchange]]
Part = tuple[int, int]  # the first row, and the one after the last
OK = 200


class RequestSize:
    """The most rows of a request; it shrinks where the model takes fewer, or fewer bytes."""

    def __init__(self, rows: int) -> None:
        self.rows = rows


def answer_rows(form: Form[R], rows: R, size: RequestSize, ask: Ask, first_row: int = 0) -> Steps[list[Any]]:
    """Return what the server has for each row, in order, with a RowError in the place of a row that has nothing.

    `first_row` is the number of the first row in the caller's counting. Raises RequestFailed if the server answers a
    request with an error that isn't of its rows, or with something else than predictions.
    """
    answers: list[Any] = []
    pending = [(0, form.count(rows))]
    while pending:
        start, stop = pending.pop()
        if stop - start > size.rows:
            pending += [(start + size.rows, stop), (start, start + size.rows)]
            continue
        if start == stop:
            continue
        outgoing, incoming = yield from ask(form.encode(form.cut(rows, start, stop)))
        if incoming.status == OK:
            try:
                decoded = form.decode(incoming, stop - start)
            except (ValueError, LookupError, TypeError, RequestError) as error:
                raise foreign_answer(error, outgoing, incoming) from error
            answers += [_with_row_errors(answer, first_row + start + index) for index, answer in enumerate(decoded)]
            continue
        fault = read_fault(incoming)
        if not fault.is_of_rows:
            raise request_failed(fault, outgoing, incoming)
        if stop - start == 1:
            answers.append(fault.row_error(first_row + start))
            continue
        if fault.is_too_large:
            size.rows = min(size.rows, (stop - start + 1) // 2)
        pending += reversed(parts_without(fault, start, stop))
    return answers


def parts_without(fault: Fault, start: int, stop: int) -> list[Part]:
    """Return the parts to send again: before, with and after the row to blame; halves where none is named."""
    row = fault.row
    if fault.is_too_large or row is None or row >= stop - start:
        middle = (start + stop) // 2
        return [(start, middle), (middle, stop)]
    bad = start + row
    return [part for part in ((start, bad), (bad, bad + 1), (bad + 1, stop)) if part[0] < part[1]]


def foreign_answer(error: Exception, outgoing: Outgoing, incoming: Incoming) -> RequestFailed:
    """Return the error for an answer of another form."""
    return RequestFailed(
        f"the answer isn't one of onnxserve: {error}",
        status=incoming.status,
        where=outgoing.path,
        remedy="check that the URL is the gateway's, and that the model was exported by onnxserve",
        request_id=outgoing.headers.get(REQUEST_ID, ""),
    )


def _with_row_errors(answer: Any, row: int) -> Any:
    """Return a prediction, or the error that stands in its place."""
    if not isinstance(answer, dict) or answer.keys() != {"error"}:
        return answer
    error = answer["error"] if isinstance(answer["error"], dict) else {}
    fields = {name: str(error.get(name, "")) for name in ("type", "reason", "where", "fix")}
    return Fault(500, fields["type"], fields["reason"], fields["where"], fields["fix"]).row_error(row)


def raise_first(answers: list[Any]) -> None:
    """Raise the first RowError among the answers."""
    for answer in answers:
        if isinstance(answer, RowError):
            raise answer


def typed(answers: list[Any], convert: Callable[[Any], Any], where: str) -> list[Any]:
    """Return predictions as the caller's type; RequestFailed where the server's don't fit it."""
    try:
        return [answer if isinstance(answer, RowError) else convert(answer) for answer in answers]
    except msgspec.ValidationError as error:
        remedy = "the model has changed: write its client again, or name another type"
        raise RequestFailed(f"a prediction has another form: {error}", where=where, remedy=remedy) from error
