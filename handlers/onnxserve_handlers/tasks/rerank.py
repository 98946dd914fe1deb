"""Rerank: a prediction is how relevant the second text of a pair is to the first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal, cast

import numpy as np
import numpy.typing as npt

from ..outputs import Array, Outputs
from ..signature import TEXT_PAIR, Schema, object_schema
from . import OutputOptions, TaskHooks, first_output, flat
from .classification import DIGITS, probabilities
from .regression import closeness, round_significant
from .rerank_ndcg import ndcg_of_groups


class RerankOptions(OutputOptions, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What turns the first output into a score."""

    task: Literal["rerank"] = "rerank"
    """The first output has a number for each pair of texts, shape (rows,) or (rows, 1); a prediction is its score."""
    activation: Literal["auto", "sigmoid", "none"] = "auto"
    """What makes scores of the outputs: `sigmoid` for logits, `none` where they are scores already.

    The export decides `auto` by the source's outputs: `none` if they all lie between 0 and 1, else `sigmoid`.
    """

    logit_activation: ClassVar[str] = "sigmoid"
    tensors: ClassVar[tuple[str, ...]] = ("score",)


class Rerank(TaskHooks):
    """The relevance of each pair."""

    output_options = RerankOptions
    quality_name = "1 less the error of the score"
    ranking_name = "nDCG at 10"
    least_quality = 0.5
    agreement_name = "1 less the error in spreads"

    @property
    def output(self) -> RerankOptions:
        """The task's part of the signature."""
        return cast("RerankOptions", self.signature.output)

    def outputs_fault(self, outputs: Mapping[str, Array]) -> str:
        """Return what is wrong with the first output's shape."""
        shape = first_output(outputs).shape
        return "" if shape[1:] in ((), (1,)) else f"the first output has shape {shape}, (rows, 1) is expected"

    def predictions(self, outputs: Outputs, rows: Sequence[Any] | None) -> list[Any]:  # noqa: ARG002 - a hook
        """Return `{"score": ...}` per row."""
        return [{"score": score} for score in round_significant(self._scores(outputs)).tolist()]

    def prediction_schema(self) -> Schema:
        """Return the schema of an object with a number."""
        return object_schema({"score": {"type": "number"}}, ["score"])

    def label_fault(self, label: Any) -> str:
        """Return why a label is no relevance."""
        is_number = isinstance(label, int | float) and 0 <= label <= 1
        return "" if is_number else "give the relevance of the second text, from 0 to 1"

    def quality(
        self,
        outputs: Outputs,
        labels: Sequence[Any],
        origins: Sequence[Any] | None = None,  # noqa: ARG002 - a hook
    ) -> npt.NDArray[np.float64]:
        """Return 1 less the distance of each score from its label, a relevance from 0 to 1, shape (rows,)."""
        errors = np.abs(self._scores(outputs) - np.asarray(labels, np.float64))
        return np.asarray(np.round(np.clip(1 - errors, 0, 1), DIGITS))

    def query_of(self, instance: Any) -> str | None:
        """Return the first text of a pair."""
        pair = [instance.get(name) for name in TEXT_PAIR] if isinstance(instance, Mapping) else instance
        is_pair = isinstance(pair, list | tuple) and len(pair) == 2 and all(isinstance(text, str) for text in pair)
        return str(pair[0]) if is_pair else None

    def ranking(
        self, outputs: Outputs, labels: Sequence[Any], groups: Sequence[npt.NDArray[np.intp]]
    ) -> npt.NDArray[np.float64]:
        """Return the nDCG of each query's documents, shape (groups,); labels, grades from 0 to 1, are the gains."""
        return ndcg_of_groups(groups, round_significant(self._scores(outputs)), np.asarray(labels, np.float64))

    def agreement(self, outputs: Outputs, reference: Outputs) -> npt.NDArray[np.float64]:
        """Return 1 less the error beside the source's number, in spreads of its numbers, at least 0, shape (rows,)."""
        return closeness(flat(first_output(outputs)), flat(first_output(reference)))

    def score_agreement(self, outputs: Outputs, reference: Outputs) -> npt.NDArray[np.float64]:
        """Return 1 less the distance from the source's score, shape (rows,).

        It is in spreads where scores don't lie between 0 and 1.
        """
        scores, source = self._scores(outputs), self._scores(reference)
        if not ((source >= 0) & (source <= 1)).all():
            return self.agreement(outputs, reference)
        return np.asarray(np.round(np.clip(1 - np.abs(scores - source), 0, 1), DIGITS))

    def _scores(self, outputs: Outputs) -> npt.NDArray[np.float64]:
        activation = self.output.activation
        return probabilities(flat(first_output(outputs))[:, 0], "sigmoid" if activation == "auto" else activation)
