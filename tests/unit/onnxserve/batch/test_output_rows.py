"""The scores that a job writes."""

import numpy as np
import pytest

from onnxserve.batch.output_rows import scores_of
from onnxserve_handlers.tasks.classification import probabilities

LOGITS = np.random.default_rng(7).normal(0, 3, (50, 3))
PROBABILITIES = probabilities(LOGITS, "softmax").astype(np.float32)


def test_probabilities_are_written_as_they_are_and_logits_as_probabilities():
    assert scores_of(PROBABILITIES, "none") is PROBABILITIES
    assert scores_of(LOGITS, "softmax") == pytest.approx(PROBABILITIES, abs=1e-6)
