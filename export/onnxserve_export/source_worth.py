"""Whether the source is right often enough for its labels to tell what a variant loses.

A variant can't lose what its source doesn't have: beside a source that is always wrong, any graph would be certified.
"""

from __future__ import annotations

import numpy as np

from onnxserve.errors import CheckFailed

from .acceptance import Acceptance
from .binomial import share_bound
from .criterion import ACCURACY, METRIC

LEVEL = 1e-3  # chance that a source which is no worse than a constant answer is refused


def check_worth(acceptance: Acceptance, model: str) -> None:
    """Raise CheckFailed if labels say that a source is worse than a constant answer, or has nothing to lose."""
    criterion, unlabelled = acceptance.criterion, "give rows without labels, and agreement with the source is certified"
    if criterion.claim != ACCURACY or criterion.task == METRIC:
        return
    paired = acceptance.compare(acceptance.reference)
    if (truth := criterion.truth) is not None:
        counts = np.bincount(truth)
        usual, share = criterion.hooks.signature.labels[int(counts.argmax())], float(counts.max() / len(truth))
        if share_bound(round(paired.reference_accuracy * len(truth)), len(truth), LEVEL) < share:
            measured = f"{model} answers {paired.reference_accuracy:.2%} of {len(truth)} rows as their labels say"
            fix = f"compare the order of `labels` with that of the outputs, and the rows' labels; or {unlabelled}"
            raise CheckFailed("measure", measured, f"{share:.2%}, as always answering {usual!r} would", fix=fix)
    elif paired.reference_accuracy <= acceptance.budget:
        measured = f"{model}'s mean score beside {paired.rows} rows' labels is {paired.reference_accuracy:.2%}"
        fix = f"compare the labels with what the model answers; or {unlabelled}"
        raise CheckFailed("measure", measured, f"more than the budget, {acceptance.budget:.2%}", fix=fix)
