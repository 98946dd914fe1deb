"""What makes scores of a source's outputs."""

from __future__ import annotations

import numpy as np
import pytest

from onnxserve.errors import DefinitionError
from onnxserve_export.activation import check_activation, chosen_activation, describe_chosen, sums_to_one

LOGITS = np.array([[3.0, -1.0, 0.5], [0.2, 0.1, 4.0]])
PROBABILITIES = np.array([[0.7, 0.2, 0.1], [0.0, 0.0, 1.0]])
INDEPENDENT = np.array([[0.9, 0.8, 0.1], [0.0, 0.1, 0.2]])
TAGS = np.stack([PROBABILITIES, np.zeros((2, 3))], axis=1)  # the second token of each row is padding


@pytest.mark.parametrize(
    ("outputs", "activation"), [(LOGITS, "softmax"), (PROBABILITIES, "none"), (INDEPENDENT, "none"), (TAGS, "none")]
)
def test_values_decide_the_activation(outputs, activation):
    assert chosen_activation(outputs, "softmax") == activation


def test_logits_of_independent_labels_get_a_sigmoid():
    assert chosen_activation(LOGITS, "sigmoid") == "sigmoid"


@pytest.mark.parametrize(
    ("outputs", "is_one"), [(LOGITS, False), (PROBABILITIES, True), (INDEPENDENT, False), (TAGS, True)]
)
def test_probabilities_sum_to_one_row_by_row(outputs, is_one):
    assert sums_to_one(outputs) is is_one


@pytest.mark.parametrize("outputs", [PROBABILITIES, PROBABILITIES.astype(np.float16), TAGS])
def test_softmax_of_probabilities_is_refused_and_the_fix_named(outputs):
    with pytest.raises(DefinitionError, match="sums to 1") as raised:
        check_activation("softmax", outputs)
    assert raised.value.fix == 'set activation = "none"'


def test_logits_without_an_activation_are_refused_and_the_fix_named():
    with pytest.raises(DefinitionError, match="lie between -1 and 4") as raised:
        check_activation("none", LOGITS)
    assert 'activation = "softmax"' in raised.value.fix


def test_a_probability_may_be_rounded_beyond_one():
    rounded = PROBABILITIES.copy()
    rounded[1] = [-1e-9, 0, 1 + 1e-9]
    assert chosen_activation(rounded, "softmax") == "none"
    assert check_activation("none", rounded) == ""


def test_a_sigmoid_of_what_look_like_scores_is_told():
    assert 'activation = "none"' in check_activation("sigmoid", INDEPENDENT)
    assert check_activation("sigmoid", LOGITS) == ""


def test_scores_that_do_not_sum_to_one_are_told():
    assert "independent labels" in check_activation("none", INDEPENDENT)
    assert check_activation("none", PROBABILITIES) == check_activation("softmax", LOGITS) == ""
    assert check_activation("sigmoid", LOGITS) == ""


@pytest.mark.parametrize(
    ("outputs", "logit_activation", "words"),
    [
        (PROBABILITIES, "softmax", "the outputs are probabilities"),
        (TAGS, "softmax", "the outputs are probabilities"),
        (INDEPENDENT, "sigmoid", "the outputs are probabilities"),
        (INDEPENDENT, "softmax", 'If they are logits, set output.activation = "softmax"'),
    ],
)
def test_a_choice_that_the_values_do_not_prove_is_told_with_its_remedy(outputs, logit_activation, words):
    assert words in describe_chosen("none", logit_activation, outputs)
    assert describe_chosen(logit_activation, logit_activation, LOGITS) == ""
