"""outputs -> predictions: the part of an answer that describes one row."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

DIGITS = 6  # a float32 holds no more


def softmax(logits: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    """Probabilities over the last axis, shape kept; shifted by the maximum so that exp can't overflow."""
    values = logits.astype(np.float32)
    exps = np.exp(values - values.max(axis=-1, keepdims=True))
    return np.asarray(exps / exps.sum(axis=-1, keepdims=True), dtype=np.float32)


def classify_rows(logits: npt.NDArray[Any], labels: tuple[str, ...]) -> list[dict[str, Any]]:
    """Best label and its score for each row of `logits`, shape (batch, labels)."""
    scores = softmax(logits)
    best = scores.argmax(axis=-1)
    found = np.round(scores[np.arange(len(best)), best].astype(np.float64), DIGITS).tolist()
    return [{"label": labels[index], "score": score} for index, score in zip(best.tolist(), found, strict=True)]


def plain_rows(values: npt.NDArray[Any]) -> list[dict[str, Any]]:
    """The raw outputs of a model without labels, one list a row."""
    flat = np.round(values.reshape(len(values), -1).astype(np.float64), DIGITS)
    return [{"values": row} for row in flat.tolist()]
