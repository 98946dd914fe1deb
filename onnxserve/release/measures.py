"""What is measured of an answer when two versions are compared."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from onnxserve.gateway.observations import FAILED, Observation

from .sequential import Floats, contrast

# Refusals of the gateway, which asked no version.
LIMITED = 429
LEFT = 499  # the client didn't wait for the answer
NO_CAPACITY = frozenset({503, 504})
MEASURES = ("errors", "unavailable", "refused", "slow", "label", "score")
LOADED = frozenset({"unavailable", "slow"})  # that a version's load makes worse too
SLOW_SHARE = 0.9
TOLERATED, TOLERATED_S = 0.1, 0.001  # a version may be so much slower; nginx measures milliseconds
SCORE_SPREAD = 0.05  # that scores have at least


def measured(answer: Observation) -> Iterator[tuple[str, float | str]]:
    """Measures of an answer with their values: 0 or 1, seconds, a label, a score.

    What came out of a cache says nothing of failures or speed. A try that failed is an observation of its own, so the
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
                yield "score", row.score


def slower(stable: Floats, canary: Floats) -> tuple[Floats, Floats]:
    """Which answers are slower than nine tenths of those of both versions at the time, along the last axis.

    Samples of one size, in seconds; the canary is forgiven what is tolerated. Those at the limit count half: times in
    whole milliseconds often are.
    """
    forgiven = np.minimum(canary / (1 + TOLERATED), canary - TOLERATED_S)
    both = np.concatenate([stable, forgiven], axis=-1)
    limit = np.quantile(both, SLOW_SHARE, axis=-1, method="lower", keepdims=True)
    return (np.sign(stable - limit) + 1) / 2, (np.sign(forgiven - limit) + 1) / 2


def difference(measure: str, stable: Floats, canary: Floats) -> float:
    """How much more the canary has of a measure than the stable version, in standard errors."""
    return float(contrast(stable, canary, SCORE_SPREAD if measure == "score" else 0.0))
