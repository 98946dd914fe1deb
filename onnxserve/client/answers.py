"""The answer to many rows: requests of a size that the model takes, and an error of its own for each bad row.

A server refuses a request whole if a row of it is bad. The rest is then sent again without that row, so that each row
gets its prediction or its error.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

import msgspec

from onnxserve.errors import RowError
from onnxserve_handlers.errors import RequestError

from .errors import RequestFailed
from .exchange import REQUEST_ID, Exchange, Incoming, Outgoing, Steps
from .fault import Fault, fault_in_place, fault_of, read_fault, request_failed
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
        try:
            request = form.encode(form.cut(rows, start, stop))
        except RowError as error:
            fault = fault_of(error)
        else:
            outgoing, incoming = yield from ask(request)
            if incoming.status == OK:
                with expected_form(outgoing, incoming):
                    decoded = form.decode(incoming, stop - start)
                answers += with_row_errors(decoded, first_row + start)
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


@contextmanager
def expected_form(outgoing: Outgoing, incoming: Incoming) -> Iterator[None]:
    """Raise RequestFailed if the block finds that an answer has another form."""
    try:
        yield
    except (ValueError, LookupError, TypeError, RequestError) as error:
        raise RequestFailed(
            f"the answer isn't one of onnxserve: {error}",
            status=incoming.status,
            where=outgoing.path,
            remedy="check that the URL is the gateway's, and that the model was exported by onnxserve",
            request_id=outgoing.headers.get(REQUEST_ID, ""),
        ) from error


def with_row_errors(predictions: Sequence[Any], first_row: int = 0) -> list[Any]:
    """Return predictions with a RowError where the server has an error in a row's place."""
    faults = map(fault_in_place, predictions)
    return [
        answer if fault is None else fault.row_error(first_row + index)
        for index, (answer, fault) in enumerate(zip(predictions, faults, strict=True))
    ]


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
