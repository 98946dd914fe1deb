"""One request on its way through the stages."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy.typing as npt

from .errors import DeadlineExceeded, RequestError
from .response import PLAIN, Answer, Form


class Asked:
    """Values to be checked, or rows already checked, or the graph's inputs themselves; and the form of the answer."""

    __slots__ = ("answer", "error", "form", "rows", "tensors", "values")

    def __init__(
        self,
        values: Sequence[Any] | None = None,
        rows: list[Any] | None = None,
        tensors: dict[str, npt.NDArray[Any]] | None = None,
        form: Form = PLAIN,
    ) -> None:
        self.values = values
        self.rows = rows
        self.tensors = tensors
        self.form = form
        self.error: RequestError | None = None
        self.answer: Answer | None = None

    @property
    def ended(self) -> bool:
        """Whether nothing is left for the model to do."""
        return self.error is not None or self.answer is not None

    @property
    def count(self) -> int:
        """Rows that the answer must have."""
        if self.tensors is not None:
            return len(next(iter(self.tensors.values())))
        return len(self.rows or ())


def error_of(one: Asked, result: Answer | RequestError | None) -> RequestError | None:
    """What a request is refused with, by an earlier stage or by the model; None for one that was answered."""
    return one.error or (result if isinstance(result, RequestError) else None)


def failed(error: RequestError, form: Form = PLAIN) -> Asked:
    """A request that ended in an earlier stage."""
    one = Asked(form=form)
    one.error = error
    return one


def answered(answer: Answer) -> Asked:
    """A request that asked for something else than the model."""
    one = Asked()
    one.answer = answer
    return one


START = "x-onnxserve-start"  # seconds since the epoch
DEADLINE = "x-onnxserve-deadline"  # seconds from the start
LONGEST_WAIT_S = 86_400.0  # beyond it a clock was set, or the header is nonsense


def seconds(headers: Mapping[str, Any], name: str) -> float | None:
    """A header's number; None without one, or where it isn't finite."""
    try:
        value = float(headers[name])
    except (KeyError, TypeError, ValueError, OverflowError):
        return None
    return value if math.isfinite(value) else None


def check_deadline(headers: Mapping[str, Any]) -> None:
    """Raise DeadlineExceeded for a request whose time is over; headers that make no sense are ignored."""
    if DEADLINE not in headers:
        return
    start, allowed = seconds(headers, START), seconds(headers, DEADLINE)
    if start is None or allowed is None or allowed <= 0:
        return
    waited = time.time() - start
    if allowed < waited < LONGEST_WAIT_S:
        raise DeadlineExceeded(
            f"the request waited {waited:.3f} s, {allowed:g} s are allowed",
            where="queue",
            fix="retry later",
        )
