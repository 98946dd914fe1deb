"""Embedding: a prediction is one vector, pooled from the graph's output and normalised as the options say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, ClassVar, Literal, cast

import numpy as np
import numpy.typing as npt

from ..errors import InvalidRow
from ..outputs import Array, Outputs
from ..signature import Positive, Schema, object_schema
from . import OutputOptions, TaskHooks, field_of, first_output
from .regression import numbers, round_significant
from .rerank_ndcg import ndcg

Vectors = npt.NDArray[np.float64]
SEED = 7  # of the direction that scores are measured along
TINY = 1e-12
SAME = 0.01  # 1 less the cosine of a golden row's vector and its label's


class EmbeddingOptions(OutputOptions, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What turns the first output into vectors."""

    task: Literal["embedding"] = "embedding"
    """A prediction is a vector: of the first output, shape (rows, width), or pooled from (rows, tokens, width)."""
    pooling: Literal["none", "mean", "cls", "last"] = "none"
    """How a row's tokens become one vector: `mean` of its own tokens, `cls` for the first, `last` for the last.

    `none` if the output is one vector a row.
    """
    normalise: bool = True
    """Divide each vector by its length, so that the product of two is their cosine."""
    dimensions: tuple[Positive, ...] = ()
    """Lengths to which a request may cut vectors, for a model that was trained for it (Matryoshka); none by default."""

    numeric_labels: ClassVar[bool] = False
    tensors: ClassVar[tuple[str, ...]] = ("embedding",)


class Embedding(TaskHooks):
    """One vector of each row."""

    output_options = EmbeddingOptions
    agreement_name = "cosine"
    ranking_name = "nDCG at 10"

    @property
    def output(self) -> EmbeddingOptions:
        """The task's part of the signature."""
        return cast("EmbeddingOptions", self.signature.output)

    def predictions(self, outputs: Outputs, rows: Sequence[Any] | None) -> list[Any]:  # noqa: ARG002 - a hook
        """Return `{"embedding": [...]}` per row."""
        return [{"embedding": vector} for vector in round_significant(self.vectors(outputs)).tolist()]

    def parameter_schemas(self) -> Mapping[str, Schema]:
        """Return the schema of `dimensions`, if vectors may be cut."""
        return {"dimensions": {"enum": [*self.output.dimensions]}} if self.output.dimensions else {}

    def check_parameters(self, parameters: Mapping[str, Any]) -> None:
        """Raise InvalidRow for any parameter but `dimensions`, a length that the definition allows."""
        allowed = self.output.dimensions
        if "dimensions" in parameters and parameters["dimensions"] not in allowed:
            fix = f"choose {', '.join(map(str, allowed))}" if allowed else "leave it out"
            raise InvalidRow("vectors can't be cut to this length", where="parameters.dimensions", fix=fix)
        super().check_parameters(parameters)

    def apply_parameters(self, predictions: list[Any], outputs: Outputs, parameters: Mapping[str, Any]) -> list[Any]:
        """Return vectors with the first `dimensions` numbers, normalised again where vectors are."""
        cut = self.vectors(outputs)[:, : int(parameters["dimensions"])]  # JSON's 64.0 is 64 too
        vectors = round_significant(unit(cut) if self.output.normalise else cut).tolist()
        return [{**prediction, "embedding": vector} for prediction, vector in zip(predictions, vectors, strict=True)]

    def prediction_schema(self) -> Schema:
        """Return the schema of an object with a list of numbers."""
        return object_schema({"embedding": {"type": "array", "items": {"type": "number"}}}, ["embedding"])

    def score(self, prediction: Any) -> float | None:
        """Return the vector's part along a fixed direction: two versions that differ in any way differ in it too."""
        vector = field_of(prediction, "embedding")
        return float(np.dot(vector, direction(len(vector)))) if isinstance(vector, list) and vector else None

    def prediction_measures(self, predictions: Sequence[Any]) -> Mapping[str, Array]:
        """Return the vectors as a space of embeddings, shape (predictions, width)."""
        vectors = [vector for row in predictions if isinstance(vector := field_of(row, "embedding"), list)]
        return {"embedding": np.array(vectors, np.float64)} if vectors else {}

    def golden_fault(self, label: Any) -> str:
        """Return why a golden row's label is no vector."""
        vector = numbers(label)
        return "" if vector is not None and len(vector) > 1 else "give the row's vector, a list of numbers, or no label"

    def right(
        self,
        outputs: Outputs,
        labels: Sequence[Any],
        origins: Sequence[Any] | None,  # noqa: ARG002 - a hook
        scales: Mapping[str, Array],  # noqa: ARG002 - a hook
    ) -> npt.NDArray[np.bool_]:
        """Return whether each row's vector has the direction of its label's, shape (rows,)."""
        own = unit(self.vectors(outputs))
        truth = [numbers(label) for label in labels]
        return np.array(
            [
                label is not None and label.shape == row.shape and bool(row @ unit(label[None])[0] >= 1 - SAME)
                for row, label in zip(own, truth, strict=True)
            ],
            bool,
        )

    def ranking(self, outputs: Outputs, labels: Sequence[Any], groups: Sequence[npt.NDArray[np.intp]]) -> Vectors:
        """Return the nDCG of each search: a group's first row searches the others by the cosine.

        Those that have the first row's label are relevant. Shape (groups,).
        """
        vectors, names = unit(self.vectors(outputs)), np.array([str(label) for label in labels])
        return np.array(
            [ndcg(vectors[rest] @ vectors[first], (names[rest] == names[first]) * 1.0) for first, *rest in groups]
        )

    def agreement(self, outputs: Outputs, reference: Outputs) -> npt.NDArray[np.float64]:
        """Return each row's cosine beside the source's vector, at least 0, shape (rows,)."""
        left, right = unit(self.vectors(outputs)), unit(self.vectors(reference))
        return np.asarray(np.clip((left * right).sum(axis=1), 0, 1))

    def vectors(self, outputs: Outputs) -> Vectors:
        """Return the rows' vectors, float64, shape (rows, width)."""
        first = first_output(outputs)
        pooled = pool(first, own_sizes(outputs), self.output.pooling)
        return unit(pooled) if self.output.normalise else pooled


def own_sizes(outputs: Outputs) -> Array:
    """Return how many tokens each row has of its own, shape (rows,)."""
    name, first = next(iter(outputs.items()))
    known = [outputs.sizes[axis.name] for axis in outputs.axes if (axis.output, axis.axis) == (name, 1)]
    return known[0] if known else np.full(len(first), first.shape[1] if first.ndim > 1 else 1)


def pool(values: Array, sizes: Array, pooling: str) -> Vectors:
    """Return one vector per row, shape (rows, width).

    `values` are (rows, tokens, width), and zero beyond the rows' own `sizes`.
    """
    wide = values.astype(np.float64)
    if pooling == "cls":
        return np.asarray(wide[:, 0].reshape(len(wide), -1))
    if pooling == "last":
        return np.asarray(wide[np.arange(len(wide)), np.maximum(sizes, 1) - 1].reshape(len(wide), -1))
    if pooling == "mean":
        return np.asarray(wide.sum(axis=1).reshape(len(wide), -1) / np.maximum(sizes, 1)[:, None])
    return np.asarray(wide.reshape(len(wide), -1))


def unit(vectors: Vectors) -> Vectors:
    """Return the vectors, shape (rows, width), divided by their lengths."""
    return np.asarray(vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), TINY))


@cache
def direction(width: int) -> Vectors:
    """Return a direction of length 1 that is the same everywhere, shape (width,)."""
    drawn: Vectors = unit(np.random.default_rng(SEED).normal(size=(1, width)))[0]
    return drawn
