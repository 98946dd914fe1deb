"""outputs -> predictions: the part of a response that describes one row, and the rows that can have none.

A classifier's prediction is its best label with a score; that of a model without labels is its plain values.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import NotFinite

Outputs = Mapping[str, npt.NDArray[Any]]
DIGITS = 6  # decimals of a score
SIGNIFICANT = 7  # significant digits of a value: a float32 holds no more
FEW = 32  # elements: a loop over so few is faster than numpy's calls
POWERS = np.array([float(f"1e{exponent}") for exponent in range(300)])  # correctly rounded, which `**` needn't be


def classify_rows(
    outputs: npt.NDArray[Any], labels: tuple[str, ...], activation: str = "softmax"
) -> list[dict[str, Any]]:
    """Return the best label and its score for each row of `outputs`, shape (rows, labels).

    Outputs are logits, or scores already if the activation is `none`.
    """
    if activation == "softmax" and outputs.size <= FEW:
        pairs: Iterable[tuple[int, float]] = map(_best_label, outputs.tolist())
    else:
        places, scores = best_labels(outputs, activation)
        pairs = zip(places.tolist(), scores.tolist(), strict=True)
    return [{"label": labels[index], "score": score} for index, score in pairs]


def _best_label(row: list[float]) -> tuple[int, float]:
    """`best_labels` of one row of logits; numpy's calls alone would take ten times as long."""
    top = max(row)
    return row.index(top), round(1 / sum([math.exp(value - top) for value in row]), DIGITS)


def best_labels(
    outputs: npt.NDArray[Any], activation: str = "softmax"
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.float64]]:
    """Return the index of each row's maximum and its score, for `outputs` of shape (rows, labels).

    Softmax subtracts the maximum first, so that exp can't overflow.
    """
    places = outputs.argmax(axis=-1)
    values = outputs.T.astype(np.float64, order="C")  # a contiguous array per label, so that reductions run over rows
    if activation == "none":
        return places, np.round(values.max(axis=0), DIGITS)
    values -= values.max(axis=0)
    return places, np.round(1 / np.exp(values).sum(axis=0), DIGITS)


def probabilities(outputs: npt.NDArray[Any], activation: str = "softmax") -> npt.NDArray[np.float64]:
    """Return the probability of each label over the last axis: softmax, or the outputs with the activation `none`."""
    values = outputs.astype(np.float64)
    if activation == "none":
        return values
    values = np.exp(values - values.max(axis=-1, keepdims=True))  # shifted, so that exp can't overflow
    return np.asarray(values / values.sum(axis=-1, keepdims=True))


def plain_rows(values: npt.NDArray[Any]) -> list[dict[str, Any]]:
    """Return the outputs of a model without labels, one flat list per row."""
    flat = round_significant(values.reshape(len(values), -1).astype(np.float64))
    return [{"values": row} for row in flat.tolist()]


def round_significant(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Round each value to `SIGNIFICANT` digits, however small it is; digits before the point all stay."""
    with np.errstate(divide="ignore"):
        magnitudes = np.nan_to_num(np.floor(np.log10(np.abs(values))))  # 0 and values that aren't finite stay as is
    scales = POWERS[np.clip(SIGNIFICANT - 1 - magnitudes, 0, len(POWERS) - 1).astype(np.intp)]
    return np.asarray(np.round(values * scales) / scales)


def rows_not_finite(outputs: Outputs) -> list[int]:
    """Return the indices of rows where any output has an infinity or NaN; dimension 0 is the batch."""
    rows: set[int] = set()
    for array in outputs.values():
        if array.dtype.kind == "f" and not is_finite(array):
            finite = np.isfinite(array).reshape(len(array), -1).all(axis=1)
            rows.update(np.flatnonzero(~finite).tolist())
    return sorted(rows)


def is_finite(array: npt.NDArray[Any]) -> bool:
    """Return whether every element is finite; for few elements, numpy's calls alone would take ten times as long."""
    if array.size <= FEW:
        return all(map(math.isfinite, array.ravel().tolist()))
    return bool(np.isfinite(array).all())


def drop_rows(outputs: Outputs, rows: list[int]) -> dict[str, npt.NDArray[Any]]:
    """Return the outputs without these rows."""
    return {name: np.delete(array, rows, axis=0) for name, array in outputs.items()}


def not_finite(index: int) -> NotFinite:
    """Return the error of a request's row whose outputs aren't finite."""
    return NotFinite(
        "the model's output is not a finite number",
        where=f"instances[{index}]",
        fix="check the row for values far outside what the model was trained on",
    )
