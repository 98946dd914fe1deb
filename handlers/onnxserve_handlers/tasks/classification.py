"""outputs -> predictions: the part of an answer that describes one row."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

DIGITS = 6  # of a score, after the point
SIGNIFICANT = 7  # of a value: a float32 holds no more
FEW = 32  # elements
POWERS = np.array([float(f"1e{exponent}") for exponent in range(300)])  # as exact as they can be; `**` needn't be


def classify_rows(
    outputs: npt.NDArray[Any], labels: tuple[str, ...], activation: str = "softmax"
) -> list[dict[str, Any]]:
    """Best label and its score for each row of `outputs`, shape (batch, labels).

    They are logits, or with the activation `none` scores already.
    """
    if activation == "softmax" and outputs.size <= FEW:
        pairs: Iterable[tuple[int, float]] = map(_best, outputs.tolist())
    else:
        places, scores = best_labels(outputs, activation)
        pairs = zip(places.tolist(), scores.tolist(), strict=True)
    return [{"label": labels[index], "score": score} for index, score in pairs]


def _best(row: list[float]) -> tuple[int, float]:
    """`best_labels` of one row of logits: numpy's calls alone would take ten times as long."""
    top = max(row)
    return row.index(top), round(1 / sum([math.exp(value - top) for value in row]), DIGITS)


def best_labels(
    outputs: npt.NDArray[Any], activation: str = "softmax"
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.float64]]:
    """Index and score of each row's maximum.

    Softmax is shifted by the maximum, so that exp can't overflow.
    """
    places = outputs.argmax(axis=-1)
    values = outputs.T.astype(np.float64, order="C")  # one contiguous array a label: reductions then run over rows
    if activation == "none":
        return places, np.round(values.max(axis=0), DIGITS)
    values -= values.max(axis=0)
    return places, np.round(1 / np.exp(values).sum(axis=0), DIGITS)


def probabilities(outputs: npt.NDArray[Any], activation: str = "softmax") -> npt.NDArray[np.float64]:
    """Probability of each label over the last axis of `outputs`; softmax unless the activation is `none`."""
    values = outputs.astype(np.float64)
    if activation == "none":
        return values
    values = np.exp(values - values.max(axis=-1, keepdims=True))  # shifted, so that exp can't overflow
    return np.asarray(values / values.sum(axis=-1, keepdims=True))


def plain_rows(values: npt.NDArray[Any]) -> list[dict[str, Any]]:
    """The raw outputs of a model without labels, one list a row."""
    flat = significant(values.reshape(len(values), -1).astype(np.float64))
    return [{"values": row} for row in flat.tolist()]


def significant(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """`values` with `SIGNIFICANT` digits each, however small; digits before the point all stay."""
    with np.errstate(divide="ignore"):
        magnitudes = np.nan_to_num(np.floor(np.log10(np.abs(values))))  # 0 and values that are not finite come back
    scales = POWERS[np.clip(SIGNIFICANT - 1 - magnitudes, 0, len(POWERS) - 1).astype(np.intp)]
    return np.asarray(np.round(values * scales) / scales)
