"""One batch, many requests: whoever breaks the batch is found and answered alone."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import TypeVar

from .errors import InternalError, RequestError, classify
from .lost import leave, lost
from .stack import stack_of

log = logging.getLogger(__name__)
T = TypeVar("T")
R = TypeVar("R")


def guarded(work: Callable[[], R]) -> R | RequestError:
    """The result of `work`, or the error that the caller may see."""
    try:
        return work()
    except Exception as error:  # noqa: BLE001 - it is logged
        answer = classify(error)
        if isinstance(answer, InternalError):
            log.error("a row failed\n%s", stack_of(error))  # noqa: TRY400 - without the message
            if lost(error):
                leave(error)
        return answer


def isolate(groups: Sequence[T], run: Callable[[Sequence[T]], Sequence[R]]) -> list[R | RequestError]:
    """Run all groups together; a failing batch is halved until only the culprit fails.

    k culprits among n groups cost about k * log2(n) further runs, and none when
    nothing fails.
    """
    if not groups:
        return []
    if len(groups) == 1:
        result = guarded(lambda: run(groups)[0])
        return [result]
    try:
        results = list(run(groups))
        if len(results) != len(groups):
            raise ValueError(f"{len(results)} results for {len(groups)} requests")
        return list(results)
    except Exception as error:  # noqa: BLE001 - it is logged
        log.debug("batch of %d failed; halving\n%s", len(groups), stack_of(error))
    half = len(groups) // 2
    return isolate(groups[:half], run) + isolate(groups[half:], run)
