"""The measures by which the answers of two versions are compared."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from .observations import FAILED, Observation
from .sequential import Floats, contrast

LIMITED = 429  # the gateway refused the request without asking a version
LEFT = 499  # the client didn't wait for the answer
NO_CAPACITY = frozenset({503, 504})
Value = float | str | tuple[float, ...]
MEASURES = ("errors", "unavailable", "refused", "slow", "label", "score")
LOADED = frozenset({"unavailable", "slow"})  # load on a version makes these worse too
SLOW_SHARE = 0.9
TOLERATED, TOLERATED_S = 0.1, 0.001  # a version may be slower by this share and time; nginx measures milliseconds
ROUNDING = 2.0**-12  # of a magnitude
SCORE_SPREAD = 0.05  # the least standard deviation that is assumed for scores


def measure_answer(answer: Observation) -> Iterator[tuple[str, Value]]:
    """Yield the measures of an answer with their values: 0 or 1, seconds, a label, a score with a regression's values.

    An answer from a cache says nothing about failures or speed. A failed try is an observation of its own, so the
    answer after it isn't counted again.
    """
    status, success = answer.status, answer.status == 200
    if status == LIMITED or (answer.failed and status < FAILED):
        return
    if answer.computed and status != LEFT:
        yield "errors", float(status >= FAILED and status not in NO_CAPACITY)
        yield "unavailable", float(status in NO_CAPACITY)
        yield "refused", float(400 <= status < FAILED)
    if answer.computed and (success or status == LEFT):
        yield "slow", answer.seconds
    if success:
        for row in answer.predictions[:1]:
            if row.label is not None:
                yield "label", row.label
            if row.score is not None:
                yield "score", (row.score, *row.values)


def slow_answers(stable: Floats, canary: Floats) -> tuple[Floats, Floats]:
    """Mark the answers of each version that are slower than nine tenths of all answers, along the last axis.

    Both samples have equal size and are in seconds; the tolerance is subtracted from the canary's times first. Returns
    1 for a slow answer, 0 for a fast one and 0.5 at the limit, which times in whole milliseconds often meet.
    """
    forgiven = np.minimum(canary / (1 + TOLERATED), canary - TOLERATED_S)
    both = np.concatenate([stable, forgiven], axis=-1)
    limit = np.quantile(both, SLOW_SHARE, axis=-1, method="lower", keepdims=True)
    return (np.sign(stable - limit) + 1) / 2, (np.sign(forgiven - limit) + 1) / 2


def difference(measure: str, stable: Floats, canary: Floats) -> float:
    """Return the canary's excess over the stable version in a measure, in standard errors."""
    return float(contrast(stable, canary, SCORE_SPREAD if measure == "score" else 0.0))


def largest_difference(stable: Floats, canary: Floats) -> float:
    """Return the largest difference of a regression's values, each in its own standard errors; both (answers, values).

    It changes its sign when the samples are exchanged, as each of the differences does. A value has a part of its
    magnitude as spread at least, else a float's rounding would be a difference.
    """
    both = np.concatenate([stable, canary]).T
    floors = ROUNDING * np.abs(both).max(axis=1)
    differences = [
        float(contrast(before, after, floor)) for before, after, floor in zip(stable.T, canary.T, floors, strict=True)
    ]
    return max(differences, key=abs)
