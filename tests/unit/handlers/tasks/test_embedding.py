"""Embeddings: pooled over a row's own tokens and normalised, as the options say."""

from __future__ import annotations

import numpy as np
import pytest

from onnxserve_handlers.outputs import FreeAxis, Outputs, with_sizes
from onnxserve_handlers.registry import task_for
from onnxserve_handlers.tasks import TaskHooks
from onnxserve_handlers.tasks.embedding import EmbeddingOptions, direction

TOKENS = np.random.default_rng(7).normal(size=(2, 3, 4))
OUTPUTS = with_sizes({"tokens": TOKENS}, [FreeAxis("tokens", 1, "sequence")], {"sequence": [2, 3]})


def embedding(**options: object) -> TaskHooks:
    return task_for(EmbeddingOptions(**options))  # type: ignore[arg-type]  # options of each test


def vectors(task: TaskHooks, outputs: Outputs) -> np.ndarray:
    return np.array([row["embedding"] for row in task.predictions(outputs, None)])


@pytest.mark.parametrize(
    ("pooling", "expected"),
    [
        ("mean", [TOKENS[0, :2].mean(axis=0), TOKENS[1].mean(axis=0)]),
        ("cls", TOKENS[:, 0]),
        ("last", [TOKENS[0, 1], TOKENS[1, -1]]),
    ],
)
def test_tokens_are_pooled_over_the_rows_own_ones(pooling, expected):
    np.testing.assert_allclose(vectors(embedding(pooling=pooling, normalise=False), OUTPUTS), expected, rtol=1e-6)
    unit = expected / np.linalg.norm(expected, axis=1, keepdims=True)
    np.testing.assert_allclose(vectors(embedding(pooling=pooling), OUTPUTS), unit, rtol=1e-6)


def test_a_row_is_the_same_whatever_it_was_padded_to():
    alone, beside = OUTPUTS.take(slice(0, 1)), OUTPUTS
    task = embedding(pooling="mean")
    assert alone["tokens"].shape == (1, 2, 4)
    assert task.predictions(alone, None)[0] == task.predictions(beside, None)[0]


def test_vectors_are_taken_as_they_are_without_pooling():
    assert vectors(embedding(normalise=False), Outputs(first=TOKENS[:, 0])) == pytest.approx(TOKENS[:, 0], rel=1e-6)


def test_a_vector_of_zeros_stays_one():
    assert vectors(embedding(), Outputs(first=np.zeros((1, 3)))).tolist() == [[0, 0, 0]]


def test_the_score_is_the_part_along_one_direction():
    task = embedding()
    row = task.predictions(Outputs(first=direction(8)[None]), None)[0]
    assert task.score(row) == pytest.approx(1)
    assert task.score({"error": {}}) is None
    assert direction(8) is direction(8)


def test_the_agreement_is_the_cosine():
    task, turned = embedding(), np.array([[0.0, 2.0], [3.0, 3.0], [-1.0, 0.0]])
    agreement = task.agreement(Outputs(first=np.tile([1.0, 0.0], (3, 1))), Outputs(first=turned))
    assert agreement == pytest.approx([0, np.sqrt(0.5), 0])
