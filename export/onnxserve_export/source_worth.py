"""Whether the source is right often enough for its labels to tell what a variant loses.

A variant can't lose what its source doesn't have: beside a source that is always wrong, any graph would be certified.
"""

from __future__ import annotations

import numpy as np

from onnxserve.errors import CheckFailed

from .acceptance import Acceptance
from .arrays import Array, main
from .binomial import cumulative
from .criterion import ACCURACY, METRIC

LEVEL = 0.01  # chance that a source which is no worse than constant answers is refused
SURE = 3.0  # standard deviations by which an answer goes with its label, or against it
FEWEST = 20  # scores below which a mean of nearly 0 may be chance

UNLABELLED = "give rows without labels, and agreement with the source is certified"


def check_worth(acceptance: Acceptance, model: str) -> None:
    """Raise CheckFailed if labels say that a source is worse than a constant answer, or has nothing to lose."""
    criterion = acceptance.criterion
    if criterion.claim != ACCURACY or criterion.task == METRIC:
        return
    if (truth := criterion.truth) is not None:
        _check_answers(acceptance, truth, model)
    elif criterion.groups:
        _check_rankings(acceptance, model)
    else:
        _check_scores(acceptance, model)


def _check_answers(acceptance: Acceptance, truth: Array, model: str) -> None:
    answers, labels = main(acceptance.reference).argmax(axis=-1), acceptance.criterion.hooks.signature.labels
    usual = int(np.bincount(truth).argmax())
    if not is_worse(answers, truth, usual, LEVEL / len(labels)) or tells_labels(answers, truth, usual):
        return
    share = f"{np.mean(truth == usual):.2%}, as always answering {labels[usual]!r} would"
    measured = f"{model} answers {np.mean(answers == truth):.2%} of {len(truth)} rows as their labels say"
    fix = f"compare the order of `labels` with that of the outputs, and the rows' labels; or {UNLABELLED}"
    raise CheckFailed("measure", measured, share, fix=fix)


def is_worse(answers: Array, truth: Array, constant: int, level: float) -> bool:
    """Return whether always answering `constant` is right more often than the answers, by an exact sign test.

    All are indices of labels, shape (rows,). Rows on which both are right or both are wrong say nothing.
    """
    right, usual = answers == truth, truth == constant
    lost, won = int((usual & ~right).sum()), int((right & ~usual).sum())
    return lost > won and cumulative(won, lost + won, 0.5) <= level


def tells_labels(answers: Array, truth: Array, usual: int) -> bool:
    """Return whether the answer goes with the most frequent label, and none goes against its own.

    So it is of a model that finds rare labels at the price of accuracy, but not where outputs are in another order.
    Both are indices of labels, shape (rows,). How often an answer meets its label by chance is hypergeometric.
    """
    rows = len(truth)
    count = max(int(answers.max()), int(truth.max())) + 1
    known, given = (np.bincount(numbers, minlength=count).astype(np.float64) for numbers in (truth, answers))
    met = np.bincount(truth[answers == truth], minlength=count)
    variance = known * given * (rows - known) * (rows - given) / (rows**2 * max(1, rows - 1))
    excess = (met - known * given / rows) / np.sqrt(np.where(variance > 0, variance, np.inf))
    return bool(excess[usual] > SURE and excess.min() > -SURE)


def _check_rankings(acceptance: Acceptance, model: str) -> None:
    """Compare the source's rankings with those of equal scores, whose documents share all places."""
    source = acceptance.reference
    equal = acceptance.compare(source.replace({name: np.zeros_like(array) for name, array in source.items()}), LEVEL)
    if equal.ranking is None or equal.ranking_bound >= 0:
        return
    ranking = equal.ranking + equal.ranking_drop
    measured = f"{model}'s mean {acceptance.criterion.hooks.ranking_name} is {ranking:.2%}"
    fix = f"look whether a high score means a relevant document, in outputs and labels; or {UNLABELLED}"
    raise CheckFailed("measure", measured, f"{equal.ranking:.2%}, as equal scores for all would have", fix=fix)


def _check_scores(acceptance: Acceptance, model: str) -> None:
    paired = acceptance.compare(acceptance.reference)
    if paired.rows < FEWEST or paired.reference_accuracy > acceptance.budget:
        return
    measured = f"{model}'s mean score beside {paired.rows} rows' labels is {paired.reference_accuracy:.2%}"
    fix = f"compare the labels with what the model answers; or {UNLABELLED}"
    raise CheckFailed("measure", measured, f"more than the budget, {acceptance.budget:.2%}", fix=fix)
