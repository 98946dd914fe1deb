"""outputs -> predictions: the part of an answer that describes one row."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

DIGITS = 6  # a float32 holds no more
FEW = 32  # elements


def classify_rows(logits: npt.NDArray[Any], labels: tuple[str, ...]) -> list[dict[str, Any]]:
    """Best label and its score for each row of `logits`, shape (batch, labels)."""
    pairs = map(_best, logits.tolist()) if logits.size <= FEW else _all_best(logits)
    return [{"label": labels[index], "score": score} for index, score in pairs]


def _best(row: list[float]) -> tuple[int, float]:
    """`_all_best` of one row: numpy's calls alone would take ten times as long."""
    top = max(row)
    return row.index(top), round(1 / sum([math.exp(value - top) for value in row]), DIGITS)


def _all_best(logits: npt.NDArray[Any]) -> Iterable[tuple[int, float]]:
    places, scores = best_labels(logits)
    return zip(places.tolist(), scores.tolist(), strict=True)


def best_labels(logits: npt.NDArray[Any]) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.float64]]:
    """Index and softmax probability of each row's maximum; shifted by it, so that exp can't overflow."""
    values = logits.T.astype(np.float64, order="C")  # one contiguous array a label: reductions then run over rows
    values -= values.max(axis=0)
    return logits.argmax(axis=-1), np.round(1 / np.exp(values).sum(axis=0), DIGITS)


def plain_rows(values: npt.NDArray[Any]) -> list[dict[str, Any]]:
    """The raw outputs of a model without labels, one list a row."""
    flat = np.round(values.reshape(len(values), -1).astype(np.float64), DIGITS)
    return [{"values": row} for row in flat.tolist()]
