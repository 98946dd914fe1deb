"""What makes scores of a source's outputs: decided by their values, or checked against them."""

from __future__ import annotations

import numpy as np

from onnxserve.errors import DefinitionError

from .arrays import Array
from .output_similarity import ROUNDING, activation_of

NEAR = 1e-3  # of 1, for a row of probabilities in float16


def label_rows(outputs: Array) -> Array:
    """Return the numbers of the labels row by row, shape (rows, labels), without rows that are only padding."""
    rows = outputs.reshape(-1, outputs.shape[-1]) if outputs.ndim > 1 else outputs[:, None]
    return np.asarray(rows[rows.any(axis=1)])


def chosen_activation(outputs: Array, logit_activation: str) -> str:
    """Return `none` for outputs that are scores already, else what the task makes scores of logits with."""
    return "none" if activation_of(outputs) == "none" else logit_activation


def sums_to_one(outputs: Array) -> bool:
    """Return whether each row has the form of probabilities of labels that exclude each other."""
    rows = label_rows(outputs).astype(np.float64)
    if rows.shape[-1] < 2 or not len(rows) or rows.min() < -ROUNDING:
        return False
    return bool((np.abs(rows.sum(axis=1) - 1) <= NEAR).all())


def describe_chosen(activation: str, logit_activation: str, outputs: Array) -> str:
    """Return what the person who left the activation open should know of the choice, empty for logits."""
    if activation != "none":
        return ""
    if logit_activation == "softmax" and not sums_to_one(outputs):
        return (
            "all outputs lie within 0 to 1, but those of a row don't sum to 1: they are taken as the scores. If they "
            'are logits, set output.activation = "softmax"'
        )
    return "the outputs are probabilities: they are the scores, without another softmax or sigmoid"


def check_activation(activation: str, outputs: Array) -> str:
    """Return a note for the person who wrote `activation`, empty if there is none.

    Raises DefinitionError where the outputs' values contradict it.
    """
    where, least, most = "output.activation", float(outputs.min(initial=0)), float(outputs.max(initial=0))
    if activation == "softmax" and sums_to_one(outputs):
        raise DefinitionError(
            "each row of the module's outputs sums to 1: they are probabilities, of which softmax would make others",
            where=where,
            fix='set activation = "none"',
        )
    if activation == "none" and (least < -ROUNDING or most > 1 + ROUNDING):
        raise DefinitionError(
            f"the module's outputs lie between {least:.3g} and {most:.3g}: they aren't scores from 0 to 1",
            where=where,
            fix='set activation = "softmax" for labels that exclude each other, else "sigmoid"',
        )
    if activation == "none" and not sums_to_one(outputs):
        return "the scores of a row don't sum to 1, as scores of independent labels do"
    if activation == "sigmoid" and activation_of(outputs) == "none":
        return 'all outputs lie within 0 to 1, as scores do: if they are scores, activation = "none" keeps them'
    return ""
