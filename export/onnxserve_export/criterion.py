"""By what outputs are compared with the source's: the task, the claim, and what the rows' labels say.

The export and the repeated proof of an archive make the same loss of it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt

from onnxserve.archive.deviation import row_slices
from onnxserve.errors import DefinitionError
from onnxserve_handlers.outputs import Outputs, pad
from onnxserve_handlers.tasks import ROUNDING, TaskHooks

from .arrays import Array, main
from .flip_estimate import expected_flips, expected_moves
from .loss import BothLosses, LabelLoss, Loss, MovedLoss, ScoreLoss, Scores
from .outputs import all_finite
from .paired_statistics import distance_errors, nearest_differ, spread_of, target_errors, value_errors, vector_errors

ACCURACY: Final = "accuracy"
AGREEMENT: Final = "agreement"
Claim = Literal["accuracy", "agreement"]
LABELS, REGRESSION, EMBEDDING, METRIC = "labels", "regression", "embedding", "metric"
MATRIX = 2  # axes of an output with one vector a row
FORMS = (LABELS, REGRESSION, EMBEDDING)  # of a loss; other tasks are judged by a measure of their own
OWN: Final = "handler"  # a measure of the user's own handler in place of one of FORMS


@dataclass(frozen=True)
class Criterion:
    """What a right answer is: `task` is one of FORMS, `metric`, or a task whose `quality` or `agreement` decides.

    `labels` and `origins` are the rows', one each; `origins` are the input kind's, None if it has none. `spreads` are
    the scales of a regression's errors: one for each value of a row, or one for all. `groups` are the rows' rankings,
    by which labels are judged where there are any. `queries` are the rows of each query, which are one observation.
    """

    task: str
    claim: Claim
    hooks: TaskHooks
    labels: Sequence[Any]
    tolerance: float
    spreads: Array
    origins: Sequence[Any] | None = None
    metric: Scores | None = None
    width: float = 1.0
    groups: Sequence[npt.NDArray[np.intp]] = ()
    queries: Sequence[npt.NDArray[np.intp]] = ()

    @property
    def truth(self) -> Array | None:
        """The indices of the rows' labels, shape (rows,); None where a label isn't what answers are."""
        if self.task != LABELS or any(label is None for label in self.labels):
            return None
        index = {label: number for number, label in enumerate(self.hooks.signature.labels)}
        return np.array([index[str(label)] for label in self.labels], np.intp)

    def loss(self, reference: Outputs) -> Loss:
        """Return the loss of outputs beside the source's."""
        if self.metric is not None:
            return self._score_loss(reference, self.metric, "drop of the metric", self.width)
        if self.task not in FORMS:
            return self._task_loss(reference)
        rows = self._label_loss(reference) if self.task == LABELS else self._moved_loss(reference)
        moved = self._score_loss(reference, rows.row_scores, rows.lost) if self.queries else rows
        return BothLosses(moved, self._ranking_loss(reference), 2) if self.groups else moved

    def damage_to(self, reference: Outputs) -> Callable[[Outputs], float]:
        """Return the damage of outputs, the root mean square error in spreads of the source's, over all of them."""
        spreads: dict[str, Array | float] = {name: spread_of(array) for name, array in reference.items()}
        spreads |= dict.fromkeys(list(reference)[:1], self.spreads)

        def damage(outputs: Outputs) -> float:
            if not all_finite(outputs):
                return float("inf")
            squares = []
            for name, array in reference.items():
                expected, actual = pad([array, outputs[name]])
                parts = ((expected[rows], actual[rows]) for rows in row_slices(expected))
                errors = np.concatenate([value_errors(*part, spreads[name]) for part in parts])
                squares.append(np.mean(errors**2))
            return float(np.sqrt(np.mean(squares)))

        return damage

    def _score_loss(self, reference: Outputs, scores: Scores, lost: str, width: float = 1.0) -> Loss:
        """Return the drop of the rows' mean score, or of the queries', whose rows hang together."""

        def units(outputs: Outputs) -> Array:
            values = scores(outputs)
            return np.array([values[rows].mean() for rows in self.queries]) if self.queries else values

        return ScoreLoss(reference, units, width, self.damage_to(reference), lost)

    def _label_loss(self, reference: Outputs) -> LabelLoss | MovedLoss:
        if len(shape := main(reference).shape) != MATRIX:
            what = f"labels are compared by outputs (rows, labels), and the first output has the shape {shape}"
            raise DefinitionError(what, where="quantise.task", fix="leave quantise.task out, and output.task decides")
        if self.claim == ACCURACY and (truth := self.truth) is not None:
            return LabelLoss(reference, truth)
        best = main(reference).argmax(axis=-1)
        return MovedLoss(
            lambda outputs: np.asarray(best != main(outputs).argmax(axis=-1), np.float64),
            0.5,
            lambda outputs: expected_flips(main(reference), main(outputs)),
            "answers that differ",
            None,
        )

    def _vectors(self, outputs: Outputs) -> Array:
        """Return the vectors that clients get: pooled from (rows, tokens, width), else the main output itself."""
        values, vectors = main(outputs), getattr(self.hooks, "vectors", None)
        return np.asarray(vectors(outputs)) if vectors and values.ndim > MATRIX else values

    def _moved_loss(self, reference: Outputs) -> MovedLoss:
        """Return the share of rows of which any value, or the vector, moves."""

        def errors(outputs: Outputs) -> Array:
            """Return the errors of each row's values, or the vector's, shape (rows, values or 1)."""
            if self.task == EMBEDDING:
                pair = self._vectors(reference), self._vectors(outputs)
                is_normalised = getattr(self.hooks.signature.output, "normalise", True)
                turned = vector_errors(*pair)
                return (turned if is_normalised else np.maximum(turned, distance_errors(*pair)))[:, None]
            expected, actual = pad([main(reference), main(outputs)])
            return target_errors(expected, actual, self.spreads)

        return MovedLoss(
            lambda outputs: errors(outputs).max(axis=1, initial=0.0),
            self.tolerance,
            lambda outputs: min(1.0, sum(expected_moves(each, self.tolerance) for each in errors(outputs).T)),
            "rows that move beyond the tolerance",
            (lambda outputs: nearest_differ(self._vectors(reference), self._vectors(outputs)))
            if self.task == EMBEDDING
            else None,
        )

    def _ranking_loss(self, reference: Outputs) -> Loss:
        def scores(outputs: Outputs) -> Array:
            return shares(self.hooks.ranking(outputs, self.labels, self.groups), len(self.groups), "ranking")

        lost = f"drop of the {self.hooks.ranking_name}"
        return ScoreLoss(reference, scores, 1.0, self.damage_to(reference), lost)

    def _task_loss(self, reference: Outputs) -> Loss:
        name, rows = measure_name(self.task, self.claim, self.hooks), len(main(reference))

        def quality(outputs: Outputs) -> Array:
            return shares(self.hooks.quality(outputs, self.labels, self.origins), rows, "quality")

        def likeness(hook: str, outputs: Outputs) -> Array:
            if outputs is reference:  # it agrees with itself, whatever a handler of the user's own says
                return np.ones(rows)
            return shares(getattr(self.hooks, hook)(outputs, reference), rows, hook)

        if self.claim != ACCURACY:
            lost = f"disagreement with the source ({name})"
            return self._score_loss(reference, partial(likeness, "agreement"), lost)
        if not self.groups:
            return self._score_loss(reference, quality, f"drop of the {name}")
        # Order alone says nothing of scores, which clients compare with thresholds.
        scores = self._score_loss(reference, partial(likeness, "score_agreement"), "change of the score")
        return BothLosses(scores, self._ranking_loss(reference), 1)


def shares(values: Any, count: int, hook: str) -> Array:
    """Return what a hook gives, shape (count,); DefinitionError for another shape, or for what bounds nothing.

    A handler of the user's own may give anything, and the bound of a mean holds for values from 0 to 1 alone.
    """
    scores = np.asarray(values, np.float64)
    fix = "give one number from 0 to 1 for each row, 1 for the best"
    if scores.shape != (count,):
        raise DefinitionError(f"{hook} gives shape {scores.shape} for {count} rows", where=f"handler, {hook}", fix=fix)
    beyond = np.flatnonzero(~((scores >= -ROUNDING) & (scores <= 1 + ROUNDING)))
    if len(beyond):
        what = f"{hook} gives {scores[beyond[0]]:g} for row {beyond[0]}, outside 0 to 1"
        raise DefinitionError(what, where=f"handler, {hook}", fix=fix)
    return np.clip(scores, 0, 1)


def measure_name(task: str, claim: str, hooks: TaskHooks, *, ranks: bool = False) -> str:
    """Return the words for what is measured of a task whose own measure decides, empty for others."""
    if task in FORMS or task == METRIC:
        return ""
    if ranks and claim == ACCURACY:
        return hooks.ranking_name
    own = "score of the handler" if claim == ACCURACY else "agreement of the handler"
    return (hooks.quality_name if claim == ACCURACY else hooks.agreement_name) or own
