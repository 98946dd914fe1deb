"""The time that a phase of a request may take, of which each read and each write gets what is left."""

from __future__ import annotations

import time

LEAST_S = 0.001  # 0 would mean not to wait at all, whose error is another one


class Seconds(float):
    """The time [s] that a phase of a request has when it begins; `end` is when it is over, by time.monotonic()."""

    end: float

    @classmethod
    def from_now(cls, seconds: float) -> Seconds:
        """Return a time that begins now."""
        given = cls(max(LEAST_S, seconds))
        given.end = time.monotonic() + given
        return given


def left_of(timeout: float | None) -> float | None:
    """Return how much of a phase's time is left now [s]; TimeoutError for none. A plain number begins anew."""
    if not isinstance(timeout, Seconds):
        return timeout
    left = timeout.end - time.monotonic()
    if left <= 0:
        raise TimeoutError("the time of the request is over")
    return left
