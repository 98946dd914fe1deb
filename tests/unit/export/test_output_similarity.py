"""Outputs that are probabilities already are used as scores."""

import numpy as np
import pytest

from onnxserve_export.output_similarity import activation_of, compare
from onnxserve_handlers.tasks.classification import probabilities

LOGITS = np.random.default_rng(7).normal(0, 3, (50, 3))
PROBABILITIES = probabilities(LOGITS, "softmax").astype(np.float32)


@pytest.mark.parametrize(
    ("outputs", "activation"),
    [
        (LOGITS, "softmax"),
        (PROBABILITIES, "none"),
        (1 / (1 + np.exp(-LOGITS)), "none"),  # of labels that don't exclude each other
        (-PROBABILITIES, "softmax"),
        (np.zeros((0, 3)), "softmax"),
    ],
)
def test_outputs_between_0_and_1_are_scores(outputs, activation):
    assert activation_of(outputs) == activation


def test_probabilities_are_calibrated_as_their_logits_are():
    truth = LOGITS.argmax(axis=1)
    errors = [compare(outputs, outputs, truth).calibration_error for outputs in (LOGITS, PROBABILITIES)]
    assert errors[0] == pytest.approx(errors[1], abs=1e-6)


def test_huge_values_and_rows_of_zeros_have_a_cosine():
    huge = np.array([[1e25, 0], [0, 0], [0, 0]], np.float32)
    close = compare(huge, np.array([[1e25, 0], [0, 0], [1, 0]], np.float32), None)
    assert (close.worst_cosine, close.max_error) == (0, 1)
    assert close.cosine == pytest.approx(2 / 3)
