"""Further tries of a request: when, how often, and for how long.

Predictions change nothing, so a request may be sent again whatever became of the first try.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from email.utils import parsedate_to_datetime

from .errors import DeadlineExceeded
from .exchange import REQUEST_ID, Deadline, Incoming, Outgoing, Steps, Wait

RETRY_AFTER = "retry-after"
NO_ANSWER = 0
TRANSIENT = frozenset({NO_ANSWER, 429, 502, 503})  # worth another try even if the server names no time
MAYBE = frozenset({504, 507})  # worth another try only if it names one
LATE = frozenset({NO_ANSWER, 504})  # what a deadline leads to: here, and in gateways that gRPC tells it
EARLY_S = 0.01  # other clocks may run a little ahead of a deadline's
SPREAD = 0.25  # of a delay, at most, is added at random: clients that were refused together don't return together


@dataclass(frozen=True, slots=True)
class Retry:
    """How often a request is sent at most, and the pauses where the server names none: each twice the last."""

    tries: int = 4
    """How often a request is sent at most, the first time included [tries]."""
    first_delay_s: float = 0.2
    """Pause before the second try, where the server names none [s]."""
    longest_delay_s: float = 5.0
    """Longest pause, where the server names none [s]."""


def retry_after(value: str, now: Callable[[], float] = time.time) -> float | None:
    """Return the seconds that a `Retry-After` asks for, a number or a date; None for anything else.

    Source: https://www.rfc-editor.org/rfc/rfc9110#section-10.2.3.
    """
    if value.strip().isdecimal():
        return float(value)
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - now())
    except ValueError:
        return None


def pause_before_retry(incoming: Incoming, attempt: int, retry: Retry) -> float | None:
    """Return the seconds to wait before another try, None where none is worth it; `attempt` counts from 0."""
    named = retry_after(incoming.headers.get(RETRY_AFTER, ""))
    if incoming.status not in TRANSIENT and (incoming.status not in MAYBE or named is None):
        return None
    delay = min(retry.longest_delay_s, retry.first_delay_s * 2**attempt) if named is None else named
    return delay * (1 + random.uniform(0, SPREAD))  # noqa: S311 - no secret


def with_retries(outgoing: Outgoing, deadline: Deadline, retry: Retry) -> Steps[Incoming]:
    """Return the last answer to a request, which is sent again as long as that can help and the deadline allows.

    A pause that would outlast the deadline isn't begun. Raises DeadlineExceeded once no time is left.
    """
    for attempt in range(max(1, retry.tries)):
        if deadline.left() <= 0:
            break
        incoming = yield replace(outgoing, timeout_s=deadline.left())
        assert incoming is not None  # noqa: S101 - a request has an answer, a pause has none
        pause = pause_before_retry(incoming, attempt, retry)
        if incoming.status in LATE and deadline.left() <= EARLY_S:
            break
        if pause is None or attempt + 1 >= retry.tries or pause >= deadline.left():
            return incoming
        yield Wait(pause)
    raise DeadlineExceeded(
        f"no answer within {deadline.seconds:g} s",
        type="deadline_exceeded",
        where=outgoing.path,
        remedy="give the call more time (timeout_s), or send fewer rows in it",
        request_id=outgoing.headers.get(REQUEST_ID, ""),
    )
