"""By what outputs are compared with the source's: the task, the claim, and what the rows' labels say.

The export and the repeated proof of an archive make the same loss of it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np

from onnxserve.errors import DefinitionError
from onnxserve_handlers.outputs import Outputs, pad
from onnxserve_handlers.tasks import TaskHooks
from onnxserve_handlers.tasks.embedding import Embedding

from .arrays import Array, main
from .flip_estimate import expected_flips, expected_moves
from .loss import LabelLoss, Loss, MovedLoss, ScoreLoss
from .paired_statistics import nearest_differ, spread_of, value_errors, vector_errors

ACCURACY: Final = "accuracy"
AGREEMENT: Final = "agreement"
Claim = Literal["accuracy", "agreement"]
Scores = Callable[[Outputs], Array]
LABELS, REGRESSION, EMBEDDING, METRIC = "labels", "regression", "embedding", "metric"
MATRIX = 2  # axes of an output with one vector a row
FORMS = (LABELS, REGRESSION, EMBEDDING)  # of a loss; other tasks are judged by a measure of their own


@dataclass(frozen=True)
class Criterion:
    """What a right answer is: `task` is one of FORMS, `metric`, or a task whose `quality` or `agreement` decides.

    `labels` and `origins` are the rows', one each; `origins` are the input kind's, None if it has none. `spread` is the
    scale of a regression's errors.
    """

    task: str
    claim: Claim
    hooks: TaskHooks
    labels: Sequence[Any]
    tolerance: float
    spread: float
    origins: Sequence[Any] | None = None
    metric: Scores | None = None
    width: float = 1.0

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
            return ScoreLoss(reference, self.metric, self.width, self.damage_to(reference), "drop of the metric")
        if self.task == LABELS:
            return self._label_loss(reference)
        return self._moved_loss(reference) if self.task in FORMS else self._task_loss(reference)

    def damage_to(self, reference: Outputs) -> Callable[[Outputs], float]:
        """Return the damage of outputs, the root mean square error in spreads of the source's, over all of them."""
        spreads = {name: spread_of(array) for name, array in reference.items()}
        spreads |= dict.fromkeys(list(reference)[:1], self.spread)

        def damage(outputs: Outputs) -> float:
            squares = []
            for name, array in reference.items():
                if not np.isfinite(outputs[name]).all():
                    return float("inf")
                expected, actual = pad([array, outputs[name]])
                squares.append(np.mean(value_errors(expected, actual, spreads[name]) ** 2))
            return float(np.sqrt(np.mean(squares)))

        return damage

    def _label_loss(self, reference: Outputs) -> Loss:
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
        values = main(outputs)
        if isinstance(self.hooks, Embedding) and values.ndim > MATRIX:
            return self.hooks.vectors(outputs)
        return values

    def _moved_loss(self, reference: Outputs) -> Loss:
        def errors(outputs: Outputs) -> Array:
            if self.task == EMBEDDING:
                return vector_errors(self._vectors(reference), self._vectors(outputs))
            expected, actual = pad([main(reference), main(outputs)])
            return value_errors(expected, actual, self.spread)

        return MovedLoss(
            errors,
            self.tolerance,
            lambda outputs: expected_moves(errors(outputs), self.tolerance),
            "rows that move beyond the tolerance",
            (lambda outputs: nearest_differ(self._vectors(reference), self._vectors(outputs)))
            if self.task == EMBEDDING
            else None,
        )

    def _task_loss(self, reference: Outputs) -> Loss:
        damage, hooks = self.damage_to(reference), self.hooks
        if self.claim == ACCURACY:
            return ScoreLoss(
                reference,
                lambda outputs: hooks.quality(outputs, self.labels, self.origins),
                1.0,
                damage,
                f"drop of the {hooks.quality_name}",
            )
        return ScoreLoss(
            reference,
            lambda outputs: hooks.agreement(outputs, reference),
            1.0,
            damage,
            f"disagreement with the source ({hooks.agreement_name})",
        )


def measure_name(task: str, claim: str, hooks: TaskHooks) -> str:
    """Return the words for what is measured of a task whose own measure decides, empty for others."""
    if task in FORMS or task == METRIC:
        return ""
    return hooks.quality_name if claim == ACCURACY else hooks.agreement_name
