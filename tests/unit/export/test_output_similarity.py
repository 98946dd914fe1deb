"""Outputs that are probabilities already are used as scores: in the signature, the profile and batches."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Literal

import msgspec
import numpy as np
import pytest

from onnxserve.batch.chunk import Fault
from onnxserve.batch.output_rows import scores_of
from onnxserve.batch.remote import in_place
from onnxserve_export.output_similarity import activation_of, compare
from onnxserve_export.profile import profile
from onnxserve_export.reference import _state_activation
from onnxserve_handlers.outputs import Outputs
from onnxserve_handlers.registry import task_alone
from onnxserve_handlers.tasks import TaskHooks
from onnxserve_handlers.tasks.classification import ClassificationOptions, probabilities
from onnxserve_handlers.tasks.regression import RegressionOptions
from tests.helpers.fakes import ask_json, with_fake_session
from tests.helpers.kinds import TableClassifier, table_signature

LOGITS = np.random.default_rng(7).normal(0, 3, (50, 3))
PROBABILITIES = probabilities(LOGITS, "softmax").astype(np.float32)


def classifier(activation: Literal["softmax", "sigmoid", "none"]) -> TaskHooks:
    output = ClassificationOptions(labels=("a", "b", "c"), activation=activation)
    return task_alone("classification", table_signature(output=output))


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


@pytest.mark.parametrize(("outputs", "activation"), [(LOGITS, "softmax"), (PROBABILITIES, "none")])
def test_export_states_what_the_outputs_are_and_says_it(outputs, activation, tmp_path: Path):
    (tmp_path / "signature.json").write_text('{"output": {"activation": "auto"}}')
    printed: list[str] = []
    definition = SimpleNamespace(output=ClassificationOptions(labels=("a", "b", "c")))
    state: Any = SimpleNamespace(archive_folder=tmp_path, say=printed.append, definition=definition)
    _state_activation(state, outputs)
    written = msgspec.json.decode((tmp_path / "signature.json").read_bytes())
    assert (written, len(printed)) == ({"output": {"activation": activation}}, activation == "none")


def test_profile_calibration_and_batches_take_probabilities_as_they_are():
    truth = LOGITS.argmax(axis=1)
    results = [
        (
            compare(outputs, outputs, truth).calibration_error,
            profile({}, Outputs(first=outputs), classifier(activation_of(outputs)))["measures"],
        )
        for outputs in (LOGITS, PROBABILITIES)
    ]
    assert results[0][0] == pytest.approx(results[1][0], abs=1e-6)
    np.testing.assert_allclose(results[0][1]["score"]["edges"], results[1][1]["score"]["edges"], atol=2e-6)
    assert scores_of(PROBABILITIES, "none") is PROBABILITIES
    assert scores_of(LOGITS, "softmax") == pytest.approx(PROBABILITIES, abs=1e-6)


def test_a_handler_says_the_models_own_probability():
    made = TableClassifier()
    with_fake_session(made, columns=("a", "b"))  # whose second output is the first column
    made.prepare()
    output = ClassificationOptions(labels=made.signature.labels, activation="none")
    made.signature = replace(made.signature, output=output)
    [(status, answer)] = ask_json(made, [0.864, 2])
    assert (status, answer["predictions"]) == (200, [{"label": "yes", "score": 0.864}])


def test_small_values_of_a_regression_have_a_profile():
    values = np.random.default_rng(7).normal(1e-7, 1e-8, (1000, 1)).astype(np.float32)
    task = task_alone("regression", table_signature(output=RegressionOptions()))
    assert len(profile({}, Outputs(first=values), task)["measures"]["value.0"]["edges"]) == 9


def test_the_error_of_a_row_beside_others_is_that_rows_fault_in_a_batch():
    error = {"error": {"type": "not_finite", "reason": "x", "where": "instances[1]"}}
    assert in_place(error) == Fault("not_finite", "x")
    for prediction in (
        {"label": "error", "score": 1.0},
        {"values": [1.0]},
        "error",
        {"error": "one of a handler's own"},
    ):
        assert in_place(prediction) is prediction
