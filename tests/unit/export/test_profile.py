"""The profile of outputs: logits and their probabilities have the same, and small values have one too."""

import numpy as np

from onnxserve_export.output_similarity import activation_of
from onnxserve_export.profile import profile
from onnxserve_handlers.outputs import Outputs
from onnxserve_handlers.registry import task_alone
from onnxserve_handlers.tasks.classification import ClassificationOptions, probabilities
from onnxserve_handlers.tasks.regression import RegressionOptions
from tests.helpers.kinds import table_signature

LOGITS = np.random.default_rng(7).normal(0, 3, (50, 3))
PROBABILITIES = probabilities(LOGITS, "softmax").astype(np.float32)


def test_probabilities_have_the_profile_of_their_logits():
    edges = []
    for outputs in (LOGITS, PROBABILITIES):
        options = ClassificationOptions(labels=("a", "b", "c"), activation=activation_of(outputs))
        task = task_alone("classification", table_signature(output=options))
        edges.append(profile({}, Outputs(first=outputs), task)["measures"]["score"]["edges"])
    np.testing.assert_allclose(edges[0], edges[1], atol=2e-6)


def test_small_values_of_a_regression_have_a_profile():
    values = np.random.default_rng(7).normal(1e-7, 1e-8, (1000, 1)).astype(np.float32)
    task = task_alone("regression", table_signature(output=RegressionOptions()))
    assert len(profile({}, Outputs(first=values), task)["measures"]["value.0"]["edges"]) == 9
